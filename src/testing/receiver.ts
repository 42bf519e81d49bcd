import { EventEmitter, on, once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { createSecureContext, createServer as createTlsServer, type TlsOptions } from 'node:tls';
import {
  type ConnectionFault,
  type ConnectionScript,
  FaultScript,
  type HandshakeFault,
  type HandshakeScript,
  type MessageFault,
  type MessageScript,
} from './faults.ts';
import { decodeMessage, type ReceivedEntry, type ReceivedMessage } from './message.ts';
import type { ReceiverSecurity } from './security.ts';
import { breakConnection, reset, Session, type Taken, type Wire } from './session.ts';
import { callUserCode } from './user-code.ts';

export interface ForwardReceiverOptions {
  /** The interface to listen on. Default 127.0.0.1. */
  host?: string;
  /** The port to listen on. Default 0: any free one. */
  port?: number;
  /** A Unix socket to listen on in place of a port. */
  path?: string;
  /** Listens in TLS, with these options of Node.js's `tls.createServer()`: `cert`, `key`, `requestCert`, … Needs a port. */
  tls?: TlsOptions;
  /** Wants a handshake of each client. Default: none. */
  security?: ReceiverSecurity;
  /** What goes wrong with messages. Default: nothing, each is acknowledged. */
  messageFaults?: MessageScript;
  /** What goes wrong with connections. Default: nothing. */
  connectionFaults?: ConnectionScript;
  /** What goes wrong with handshakes, with `security`. Default: nothing. */
  handshakeFaults?: HandshakeScript;
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
  /** A client has passed the handshake or, with a reason, has not; with the connection's number. */
  handshake: [connection: number, refusal: string | undefined];
  /** A client sent what is no Forward message; its connection is reset. */
  invalid: [Error];
  close: [];
}

/**
 * A Forward server for tests, demos and debugging. It understands every mode of the protocol,
 * acknowledges, keeps what it gets, and makes the faults of its scripts. An error that a listener throws is an
 * uncaught exception of the process.
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
    this.#messageFaults = new FaultScript(script, this.#messageCount);
  }

  /** Replaces the script; a list starts with the next connection. */
  set connectionFaults(script: ConnectionScript) {
    this.#connectionFaults = new FaultScript(script, this.#connectionCount);
  }

  /** Replaces the script; a list starts with the next connection. */
  set handshakeFaults(script: HandshakeScript) {
    this.#handshakeFaults = new FaultScript(script, this.#connectionCount);
  }

  /** The messages that were taken, in the order of their arrival, with `retain`. */
  readonly messages: ReceivedMessage[] = [];
  readonly #server: Server;
  readonly #sockets = new Map<number, Wire>();
  /** Those below TLS, also while its handshake goes on. */
  readonly #rawSockets = new Set<Socket>();
  readonly #options: ForwardReceiverOptions;
  #messageFaults: FaultScript<ReceivedMessage, MessageFault>;
  #connectionFaults: FaultScript<number, ConnectionFault>;
  #handshakeFaults: FaultScript<number, HandshakeFault>;
  #messageCount = 0;
  #connectionCount = 0;
  #entryCount = 0;

  private constructor(options: ForwardReceiverOptions) {
    super();
    this.setMaxListeners(0);
    this.#options = options;
    this.#messageFaults = new FaultScript(options.messageFaults);
    this.#connectionFaults = new FaultScript(options.connectionFaults);
    this.#handshakeFaults = new FaultScript(options.handshakeFaults);
    this.#server = this.#createServer(options.tls);
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
    return `${this.#options.tls !== undefined ? 'tls' : 'tcp'}://${address.family === 'IPv6' ? `[${address.address}]` : address.address}:${address.port}`;
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
    for (const { raw } of this.#sockets.values()) reset(raw);
  }

  /** Ends one connection (RST), named by its number, if it is open. */
  resetConnection(connection: number): void {
    const wire = this.#sockets.get(connection);
    if (wire !== undefined) reset(wire.raw);
  }

  /** Stops listening and ends all connections. */
  async close(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const socket of this.#rawSockets) socket.destroy();
    await closed;
    this.#notify('close');
  }

  #createServer(tls: TlsOptions | undefined): Server {
    if (tls === undefined) {
      return createServer({ noDelay: true }, (socket) => {
        this.#hold(socket);
        this.#serve({ socket, raw: socket });
      });
    }
    // Throws for a bad certificate or key now, and not at the first connection.
    createSecureContext(tls);
    return createServer({ noDelay: true, ...tls }, (raw) => {
      this.#hold(raw);
      // Node.js does not say which socket is below a TLS socket. This server has only one.
      createTlsServer(tls, (socket) => this.#serve({ socket, raw })).emit('connection', raw);
    });
  }

  #hold(raw: Socket): void {
    this.#rawSockets.add(raw);
    raw.on('error', () => {});
    raw.once('close', () => this.#rawSockets.delete(raw));
  }

  #serve(wire: Wire): void {
    const { socket } = wire;
    const connection = this.#connectionCount++;
    this.#sockets.set(connection, wire);
    socket.on('error', () => {});
    socket.once('close', () => {
      this.#sockets.delete(connection);
      this.#notify('disconnect', connection);
    });
    const fault = this.#connectionFaults.faultOf(connection, connection);
    const session = new Session(wire, this.#options.security, this.#handshakeFaults.faultOf(connection, connection), {
      handshake: (refusal) => this.#notify('handshake', connection, refusal),
      message: (frame) => this.#take(frame, connection),
      invalid: (error) => this.#notify('invalid', error),
    });
    let bytes = 0;
    const read = (data: Buffer): void => {
      bytes += data.length;
      // What lies behind the fault's place does not count as received.
      const readable =
        fault === undefined ? data : data.subarray(0, Math.max(0, data.length - (bytes - fault.afterBytes)));
      session.read(readable);
      if (fault !== undefined && bytes >= fault.afterBytes) session.whenAnswered(() => breakConnection(wire, fault));
    };
    if (fault?.kind === 'stop reading' && fault.afterBytes === 0) socket.pause();
    else socket.on('data', read);
    if (fault?.afterBytes === 0) breakConnection(wire, fault);
    else session.start();
    this.#notify('connection', connection);
  }

  /** Emits an event. A listener that throws stops neither the receiver nor the other listeners. */
  #notify<Name extends keyof ReceiverEvents>(name: Name, ...args: ReceiverEvents[Name]): void {
    for (const listener of this.rawListeners(name)) callUserCode(() => Reflect.apply(listener, this, args));
  }

  #take(frame: Buffer, connection: number): Taken {
    const message = decodeMessage(frame, connection);
    const index = this.#messageCount++;
    const fault = this.#messageFaults.faultOf(index, message);
    if (fault?.kind !== 'refuse') {
      this.#entryCount += message.entries.length;
      if (this.#options.retain !== false) this.messages.push(message);
    }
    this.#notify('message', message);
    return { message, fault };
  }
}
