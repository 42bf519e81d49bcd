import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { encode } from '@msgpack/msgpack';
import { FrameReader } from '../../src/protocol/frame.ts';
import { decodeMessage, type ReceivedMessage } from '../../src/testing/message.ts';
import { MAX_DEPTH } from '../../src/testing/value-reader.ts';

const MAX_MESSAGE_BYTES = 64 * 1024 * 1024;

/** `silent`: reads and does not acknowledge. `stalled`: does not read. `down`: accepts no connections. */
export type ReceiverState = 'acknowledging' | 'silent' | 'stalled' | 'down';

/**
 * Receivers whose connections are in memory, so that a test decides over every event, and a run is the same each time. A
 * test mocks `openSocket()` of `src/connection/socket.ts` with {@link openSocket}.
 */
export class SimulatedNetwork {
  readonly connections: SimulatedSocket[] = [];
  readonly messages: ReceivedMessage[] = [];
  /** The ids of the chunks that a receiver has acknowledged. */
  readonly acknowledged = new Set<string>();
  /** Whether receivers leave a message unacknowledged, whatever their state is. */
  refuses: (message: ReceivedMessage) => boolean = () => false;
  onMessage: (message: ReceivedMessage) => void = () => {};
  #state: ReceiverState = 'acknowledging';

  get state(): ReceiverState {
    return this.#state;
  }

  set state(state: ReceiverState) {
    this.#state = state;
    for (const connection of this.open) connection.stateChanged();
  }

  get open(): readonly SimulatedSocket[] {
    return this.connections.filter(({ destroyed }) => !destroyed);
  }

  openSocket(): Socket {
    const socket = new SimulatedSocket(this, this.connections.length);
    this.connections.push(socket);
    setImmediate(() => {
      if (this.#state === 'down') socket.fail('ECONNREFUSED');
      else socket.emit('connect');
    });
    return socket as unknown as Socket;
  }

  received(message: ReceivedMessage): void {
    this.messages.push(message);
    this.onMessage(message);
  }
}

/** The client's end of a connection, with the receiver behind it. */
class SimulatedSocket extends Duplex {
  readonly #network: SimulatedNetwork;
  readonly #number: number;
  readonly #frames = new FrameReader(MAX_MESSAGE_BYTES, MAX_DEPTH);
  /** The messages that are not acknowledged, the oldest first. */
  readonly #unanswered: ReceivedMessage[] = [];
  /** Ends the write that a stalled receiver has not read. */
  #unread: { readonly data: Buffer; readonly done: (error?: Error) => void } | undefined;

  constructor(network: SimulatedNetwork, number: number) {
    super();
    this.#network = network;
    this.#number = number;
  }

  /** Acknowledges the oldest messages. */
  acknowledge(count: number): void {
    for (const message of this.#unanswered.splice(0, count)) this.#acknowledge(message);
  }

  fail(code: string): void {
    this.destroy(Object.assign(new Error(code), { code }));
  }

  /** The receiver closes the connection. */
  finish(): void {
    this.push(null);
  }

  stateChanged(): void {
    if (this.#network.state !== 'stalled') this.#readOn();
    if (this.#network.state === 'acknowledging') this.acknowledge(Number.POSITIVE_INFINITY);
  }

  destroySoon(): void {
    this.end(() => this.destroy());
  }

  override _read(): void {}

  override _write(data: Buffer, _: string, done: (error?: Error) => void): void {
    this.#unread = { data, done };
    if (this.#network.state !== 'stalled') this.#readOn();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#unread?.done(new Error('the socket is destroyed'));
    this.#unread = undefined;
    done(error);
  }

  #readOn(): void {
    const unread = this.#unread;
    if (unread === undefined) return;
    this.#unread = undefined;
    // The client uses its buffer again when the write is complete.
    for (const frame of this.#frames.push(Buffer.from(unread.data))) this.#take(decodeMessage(frame, this.#number));
    unread.done();
  }

  #take(message: ReceivedMessage): void {
    this.#network.received(message);
    if (this.#network.refuses(message)) return;
    if (this.#network.state === 'acknowledging') this.#acknowledge(message);
    else this.#unanswered.push(message);
  }

  #acknowledge({ chunk }: ReceivedMessage): void {
    if (this.destroyed) return;
    this.#network.acknowledged.add(chunk as string);
    this.push(encode({ ack: chunk }));
  }
}
