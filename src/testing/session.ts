import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { encode } from '@msgpack/msgpack';
import { FrameReader } from '../protocol/frame.ts';
import type { ConnectionFault, HandshakeFault, MessageFault } from './faults.ts';
import type { ReceivedMessage } from './message.ts';
import { ReceiverHandshake, type ReceiverSecurity } from './security.ts';
import { MAX_DEPTH } from './value-reader.ts';

/** A connection; `raw` is what lies below it when it is in TLS, else the same. */
export interface Wire {
  readonly socket: Socket;
  readonly raw: Socket;
}

/** A message, and what to do in place of acknowledging it. */
export interface Taken {
  readonly message: ReceivedMessage;
  readonly fault: MessageFault | undefined;
}

export interface SessionObserver {
  handshake(refusal: string | undefined): void;
  message(frame: Buffer): Taken;
  invalid(error: Error): void;
}

/** Above what real receivers take. */
const MAX_MESSAGE_BYTES = 64 * 1024 * 1024;
const NO_MESSAGEPACK = Uint8Array.of(0xc1, 0xc1, 0xc1, 0xc1);

/** What a receiver and a client say to each other on one connection. */
export class Session {
  readonly #wire: Wire;
  readonly #observer: SessionObserver;
  readonly #fault: HandshakeFault | undefined;
  readonly #isSingleUse: boolean;
  /** Until the client has passed it. */
  #handshake: ReceiverHandshake | undefined;
  #frames = new FrameReader(MAX_MESSAGE_BYTES, MAX_DEPTH);
  /** Answers leave in the order of the messages. */
  #answered = Promise.resolve();

  constructor(
    wire: Wire,
    security: ReceiverSecurity | undefined,
    fault: HandshakeFault | undefined,
    observer: SessionObserver,
  ) {
    this.#wire = wire;
    this.#fault = fault;
    this.#observer = observer;
    this.#isSingleUse = security?.keepalive === false;
    if (security !== undefined) this.#handshake = new ReceiverHandshake(security, fault);
  }

  start(): void {
    const handshake = this.#handshake;
    if (handshake !== undefined) this.whenAnswered(() => this.#say('HELO', handshake.hello()));
  }

  /** Does something once all that was received has its answer. */
  whenAnswered(action: () => void | Promise<void>): void {
    this.#answered = this.#answered.then(action);
  }

  read(data: Buffer): void {
    try {
      for (const frame of this.#frames.push(data)) {
        if (this.#handshake === undefined) {
          this.#take(frame);
        } else if (this.#shakeHands(frame, this.#handshake) === 'drop the rest') {
          this.#frames = new FrameReader(MAX_MESSAGE_BYTES, MAX_DEPTH);
          return;
        }
      }
    } catch (error) {
      reset(this.#wire.raw);
      this.#observer.invalid(error as Error);
    }
  }

  #take(frame: Buffer): void {
    const { message, fault } = this.#observer.message(frame);
    const isLast = this.#isSingleUse && fault === undefined;
    const taken: Taken = { message, fault: isLast ? { kind: 'close', when: 'after ack' } : fault };
    this.whenAnswered(() => answer(this.#wire, taken));
  }

  #shakeHands(frame: Buffer, handshake: ReceiverHandshake): 'go on' | 'drop the rest' {
    const { pong, refusal } = handshake.check(frame);
    if (pong !== undefined) this.whenAnswered(() => this.#say('PONG', pong));
    this.#observer.handshake(refusal);
    if (refusal !== undefined) {
      this.whenAnswered(() => breakConnection(this.#wire, { kind: 'close' }));
      return 'drop the rest';
    }
    this.#handshake = undefined;
    return handshake.isDroppingRest ? 'drop the rest' : 'go on';
  }

  async #say(message: 'HELO' | 'PONG', bytes: Uint8Array): Promise<void> {
    const { socket } = this.#wire;
    const fault = this.#fault !== undefined && 'message' in this.#fault ? this.#fault : undefined;
    if (fault?.message !== message) {
      socket.write(bytes);
      return;
    }
    switch (fault.kind) {
      case 'withhold':
        break;
      case 'delay':
        await sleep(fault.millis, undefined, { ref: false });
        socket.write(bytes);
        break;
      case 'drip':
        await drip(socket, bytes, fault.millis);
        break;
      case 'replace':
        socket.write(fault.bytes);
        break;
    }
  }
}

async function answer(wire: Wire, { message, fault }: Taken): Promise<void> {
  const { socket } = wire;
  if (message.chunk === undefined || socket.destroyed) return;
  const ack = encode({ ack: message.chunk });
  switch (fault?.kind) {
    case undefined:
      socket.write(ack);
      break;
    case 'withhold':
      break;
    case 'delay':
      await ('until' in fault ? fault.until : sleep(fault.millis, undefined, { ref: false }));
      socket.write(ack);
      break;
    case 'misaddress':
      socket.write(encode({ ack: 'nobody sent this chunk' }));
      break;
    case 'repeat':
      for (let i = 0; i < fault.times; i++) socket.write(ack);
      break;
    case 'refuse':
      socket.write(encode({}));
      break;
    case 'close':
    case 'reset':
      if (fault.when === 'after ack') await new Promise<void>((sent) => socket.write(ack, () => sent()));
      breakConnection(wire, fault);
      break;
    case 'truncate':
      socket.write(ack.subarray(0, ack.length >> 1));
      break;
    case 'drip':
      await drip(socket, ack, fault.millis);
      break;
    case 'garbage':
      socket.write(fault.bytes ?? NO_MESSAGEPACK);
      break;
  }
}

async function drip(socket: Socket, bytes: Uint8Array, millis: number): Promise<void> {
  for (const byte of bytes) {
    if (!socket.write(Uint8Array.of(byte))) break;
    await sleep(millis, undefined, { ref: false });
  }
}

export function breakConnection({ socket, raw }: Wire, { kind }: { kind: ConnectionFault['kind'] }): void {
  switch (kind) {
    case 'close':
      socket.end();
      break;
    case 'reset':
      reset(raw);
      break;
    case 'stop reading':
      socket.pause();
      break;
  }
}

/** An RST; a Unix socket has none and is just closed. */
export function reset(socket: Socket): void {
  if (socket.remoteFamily === undefined) socket.destroy();
  else socket.resetAndDestroy();
}
