import { EventEmitter, on, once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { encode } from '@msgpack/msgpack';
import { FrameReader } from '../protocol/frame.ts';
import {
  type ConnectionFault,
  type ConnectionScript,
  faultFor,
  type MessageFault,
  type MessageScript,
} from './faults.ts';
import { decodeMessage, type ReceivedEntry, type ReceivedMessage } from './message.ts';

export interface ForwardReceiverOptions {
  /** The interface to listen on. Default 127.0.0.1. */
  host?: string;
  /** The port to listen on. Default 0: any free one. */
  port?: number;
  /** A Unix socket to listen on in place of a port. */
  path?: string;
  /** What goes wrong with messages. Default: nothing, each is acknowledged. */
  messageFaults?: MessageScript;
  /** What goes wrong with connections. Default: nothing. */
  connectionFaults?: ConnectionScript;
  /** Whether `messages` and `entries` keep what arrives. Default true. */
  retain?: boolean;
}

interface ReceiverEvents {
  /** A message has arrived whole; its answer is not sent yet. */
  message: [ReceivedMessage];
  /** A client has connected; with the connection's number, 0 for the first. */
  connection: [number];
  /** A connection has ended, for whatever reason. */
  disconnect: [number];
  /** A client sent what is no Forward message; its connection is reset. */
  invalid: [Error];
  close: [];
}

/** Above what real receivers take. */
const MAX_MESSAGE_BYTES = 64 * 1024 * 1024;
const NO_MESSAGEPACK = Uint8Array.of(0xc1, 0xc1, 0xc1, 0xc1);

/**
 * A Forward server for tests, demos and debugging. It understands every mode of the protocol,
 * acknowledges, keeps what it gets, and does wrong what it is told to.
 *
 * @example
 * const receiver = await ForwardReceiver.listen();
 * const exporter = new FluentForwardLogExporter({ endpoint: receiver.endpoint });
 * // … export …
 * const [entry] = await receiver.waitForEntries(1);
 * await receiver.close();
 */
export class ForwardReceiver extends EventEmitter<ReceiverEvents> {
  /** Replaces the script; a list starts with the next message. */
  set messageFaults(script: MessageScript) {
    this.#messageFaults = script;
    this.#firstScripted = this.#messageCount;
  }

  /** Replaces the script; a list starts with the next connection. */
  set connectionFaults(script: ConnectionScript) {
    this.#connectionFaults = script;
    this.#firstScriptedConnection = this.#connectionCount;
  }

  /** The messages that were taken, in the order of their arrival, with `retain`. */
  readonly messages: ReceivedMessage[] = [];
  readonly #server: Server;
  readonly #sockets = new Map<number, Socket>();
  readonly #retain: boolean;
  #messageFaults: MessageScript;
  #connectionFaults: ConnectionScript;
  #messageCount = 0;
  #firstScripted = 0;
  #connectionCount = 0;
  #firstScriptedConnection = 0;
  #entryCount = 0;

  private constructor(options: ForwardReceiverOptions) {
    super();
    this.setMaxListeners(0);
    this.#retain = options.retain ?? true;
    this.#messageFaults = options.messageFaults ?? [];
    this.#connectionFaults = options.connectionFaults ?? [];
    this.#server = createServer({ noDelay: true }, (socket) => this.#serve(socket));
  }

  /** Starts a receiver. Rejects when it cannot listen. */
  static async listen(options: ForwardReceiverOptions = {}): Promise<ForwardReceiver> {
    const receiver = new ForwardReceiver(options);
    const { host = '127.0.0.1', port = 0, path } = options;
    receiver.#server.listen(path === undefined ? { host, port } : { path });
    await once(receiver.#server, 'listening');
    return receiver;
  }

  /** What to set as the exporter's `endpoint`. */
  get endpoint(): string {
    const address = this.#server.address();
    if (address === null) throw new Error('the receiver is closed');
    if (typeof address === 'string') return `unix://${address}`;
    return `tcp://${address.family === 'IPv6' ? `[${address.address}]` : address.address}:${address.port}`;
  }

  /** The port it listens on; 0 on a Unix socket. */
  get port(): number {
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  /** The entries that were taken, in the order of their arrival, with `retain`. */
  get entries(): ReceivedEntry[] {
    return this.messages.flatMap((message) => message.entries);
  }

  /** How many entries were taken. */
  get entryCount(): number {
    return this.#entryCount;
  }

  /** How many messages have arrived, refused ones included. */
  get messageCount(): number {
    return this.#messageCount;
  }

  /** How many connections were accepted. */
  get connectionCount(): number {
    return this.#connectionCount;
  }

  /** How many connections are open. */
  get openConnections(): number {
    return this.#sockets.size;
  }

  /** Resolves with the entries once there are `count`; rejects after `timeoutMillis` (default 10000). */
  async waitForEntries(
    count: number,
    { timeoutMillis = 10_000 }: { timeoutMillis?: number } = {},
  ): Promise<ReceivedEntry[]> {
    const signal = AbortSignal.timeout(timeoutMillis);
    while (this.#entryCount < count) {
      try {
        await once(this, 'message', { signal });
      } catch (error) {
        throw new Error(`received ${this.#entryCount} of ${count} entries in ${timeoutMillis} ms`, { cause: error });
      }
    }
    return this.entries;
  }

  /** The entries that arrive from now on, until the receiver is closed. */
  async *[Symbol.asyncIterator](): AsyncGenerator<ReceivedEntry> {
    for await (const [message] of on(this, 'message', { close: ['close'] }))
      yield* (message as ReceivedMessage).entries;
  }

  /** Ends the connections that are open (RST), and goes on listening. */
  resetConnections(): void {
    for (const socket of this.#sockets.values()) reset(socket);
  }

  /** Ends one connection (RST), named by its number, if it is open. */
  resetConnection(connection: number): void {
    const socket = this.#sockets.get(connection);
    if (socket !== undefined) reset(socket);
  }

  /** Stops listening and ends all connections. */
  async close(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const socket of this.#sockets.values()) socket.destroy();
    await closed;
    this.emit('close');
  }

  #serve(socket: Socket): void {
    const connection = this.#connectionCount++;
    this.#sockets.set(connection, socket);
    socket.on('error', () => {});
    socket.once('close', () => {
      this.#sockets.delete(connection);
      this.emit('disconnect', connection);
    });
    const fault = faultFor(this.#connectionFaults, connection - this.#firstScriptedConnection, connection);
    const frames = new FrameReader(MAX_MESSAGE_BYTES);
    // Answers leave in the order of the messages.
    let answered = Promise.resolve();
    let bytes = 0;
    const read = (data: Buffer): void => {
      bytes += data.length;
      // What lies behind the fault's place does not count as received.
      const readable =
        fault === undefined ? data : data.subarray(0, Math.max(0, data.length - (bytes - fault.afterBytes)));
      try {
        for (const frame of frames.push(readable)) {
          const message = this.#take(frame, connection);
          answered = answered.then(() => answer(socket, message.message, message.fault));
        }
      } catch (error) {
        reset(socket);
        this.emit('invalid', error as Error);
      }
      if (fault !== undefined && bytes >= fault.afterBytes)
        answered = answered.then(() => breakConnection(socket, fault));
    };
    if (fault?.kind === 'stop reading' && fault.afterBytes === 0) socket.pause();
    else socket.on('data', read);
    if (fault?.afterBytes === 0) breakConnection(socket, fault);
    this.emit('connection', connection);
  }

  #take(frame: Buffer, connection: number): { message: ReceivedMessage; fault: MessageFault | undefined } {
    const message = decodeMessage(frame, connection);
    const index = this.#messageCount++;
    const fault = faultFor(this.#messageFaults, index - this.#firstScripted, message);
    if (fault?.kind !== 'refuse') {
      this.#entryCount += message.entries.length;
      if (this.#retain) this.messages.push(message);
    }
    this.emit('message', message);
    return { message, fault };
  }
}

async function answer(socket: Socket, message: ReceivedMessage, fault: MessageFault | undefined): Promise<void> {
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
      if (fault.kind === 'close') socket.end();
      else reset(socket);
      break;
    case 'truncate':
      socket.write(ack.subarray(0, ack.length >> 1));
      break;
    case 'drip':
      for (const byte of ack) {
        if (!socket.write(Uint8Array.of(byte))) break;
        await sleep(fault.millis, undefined, { ref: false });
      }
      break;
    case 'garbage':
      socket.write(fault.bytes ?? NO_MESSAGEPACK);
      break;
  }
}

function breakConnection(socket: Socket, fault: ConnectionFault): void {
  switch (fault.kind) {
    case 'close':
      socket.end();
      break;
    case 'reset':
      reset(socket);
      break;
    case 'stop reading':
      socket.pause();
      break;
  }
}

/** An RST; a Unix socket has none and is just closed. */
function reset(socket: Socket): void {
  if (socket.remoteFamily === undefined) socket.destroy();
  else socket.resetAndDestroy();
}
