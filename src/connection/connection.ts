import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { Clock, Timer } from '../clock.ts';
import type { Chunk } from '../encode/chunk.ts';
import type { Address } from '../endpoint/address.ts';
import { serverNameOf } from '../endpoint/target.ts';
import { FluentForwardConnectionError, messageOf } from '../errors.ts';
import { type Answer, AnswerReader, MAX_ANSWER_BYTES } from '../protocol/answer.ts';
import { Handshake } from '../protocol/handshake.ts';
import type { ConnectionStats } from '../stats.ts';
import type { ConnectionInfo } from '../telemetry/channels.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';
import { ChunkWriter } from './chunk-writer.ts';
import type { Certificates, Credentials } from './credentials.ts';
import { type Ends, type Failure, lost, lostAt, refusedAfterTls, type Stage, tooLate } from './failure.ts';
import { openSocket } from './socket.ts';

/**
 * connecting → open → retiring → closed; any state may go to closed, none comes back.
 * - connecting: on its way through the {@link Stage}s of a dial, under one time limit.
 * - open: takes chunks; one until the first ack, then up to `maxInFlightChunks`.
 * - retiring: takes none, waits for the acks that are due, then closes.
 */
type State = ConnectionStats['state'];

const NEXT: Readonly<Record<State, readonly State[]>> = {
  connecting: ['open', 'closed'],
  open: ['retiring', 'closed'],
  retiring: ['closed'],
  closed: [],
};

export interface ConnectionObserver {
  opened(connection: Connection): void;
  /** So many milliseconds after it was handed to the connection. */
  acknowledged(connection: Connection, chunk: Chunk, latencyMillis: number): void;
  /**
   * The chunk has to go elsewhere; called once for each chunk. Unless the connection is closed, a late ack is still
   * reported by `acknowledged`. `isSuspect`: the receiver had to answer this chunk next, so the chunk itself may be the
   * reason.
   */
  unacknowledged(connection: Connection, chunk: Chunk, error: FluentForwardConnectionError, isSuspect: boolean): void;
  /** It takes no more chunks because of a fault, which leaves `chunks` to be sent again. */
  failed(connection: Connection, error: FluentForwardConnectionError, chunks: readonly Chunk[]): void;
  closed(connection: Connection): void;
}

export interface ConnectionOptions {
  /** Its number among those of the exporter. */
  readonly id: number;
  /** What is dialled, for messages, as long as there is no address. */
  readonly endpoints: string;
  /** Looks the endpoint up and chooses an address; the connection releases it when it closes. */
  readonly acquire: () => Promise<Address>;
  readonly release: (address: Address) => void;
  readonly credentials: Credentials;
  readonly connectTimeoutMillis: number;
  readonly ackTimeoutMillis: number;
  readonly maxInFlightChunks: number;
  /** Its first place in the schedule of connections. */
  readonly pass: number;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  readonly observer: ConnectionObserver;
  /** Called for each stage of the dial after the lookup, with the socket from TLS on. */
  readonly onStage?: (stage: Stage, socket: Socket | undefined) => void;
}

/** A chunk that is on the way. */
interface Pending {
  readonly chunk: Chunk;
  readonly sentAt: number;
  /** When the operating system last took bytes of it; undefined before the first ones. */
  takenAt: number | undefined;
  /** Whether the operating system has taken all of it. */
  isWritten: boolean;
  /** It was reported as unanswered. Its ack still counts. */
  overdue: boolean;
  /** Nobody waits for its ack, which still shows whether the receiver works. */
  isGivenUp: boolean;
}

const UNIX_HINT = "Fluentd's in_unix never acknowledges: use its in_forward, or Fluent Bit's unix_path";
/** The codes of faults that have nothing to do with the chunk that was sent. */
const BLAMELESS: readonly FluentForwardConnectionError['code'][] = [
  'FLUENT_FORWARD_BAD_ANSWER',
  'FLUENT_FORWARD_AUTH_FAILED',
  'FLUENT_FORWARD_TLS_FAILED',
  'FLUENT_FORWARD_CLOSED',
];

/** The life of one socket. It ends in `closed`; a reconnect is a new object. */
export class Connection {
  readonly #options: ConnectionOptions;
  readonly #answers = new AnswerReader();
  /** In the order of the writes, which is the order of the acks. */
  readonly #pending = new Map<string, Pending>();
  /** A chunk that was acknowledged elsewhere before the first ack here: its ack would be the first one. */
  #proof: Pending | undefined;
  #state: State = 'connecting';
  #stage: Stage = 'lookup';
  #address: Address | undefined;
  #certificates: Certificates | undefined;
  #handshake: Handshake | undefined;
  #socket: Socket | undefined;
  /** Invariant: undefined until the connection has been open. */
  #writer: ChunkWriter | undefined;
  /** In TLS 1.3, while the server has not shown that it takes this client's certificate: for how long it may take. */
  #unverifiedUntil = Number.NEGATIVE_INFINITY;
  /** Whether the server has said anything yet. */
  #isSilent = true;
  /** The server has said that it takes one message a connection. */
  #isSingleUse = false;
  /** Bytes from the server since the last read with the ack of a chunk. */
  #unaskedBytes = 0;
  #connectTimer: Timer | undefined;
  /** Runs while an ack or the end of a write is waited for. */
  #progressTimer: Timer | undefined;
  /** Runs while an answer has begun to arrive. */
  #partialTimer: Timer | undefined;
  #acks = 0;
  #lastAckAt = Number.NEGATIVE_INFINITY;
  /** The last time that the operating system took bytes, or that there was something to write again. */
  #lastWriteAt = Number.NEGATIVE_INFINITY;
  readonly dialledAt: number;
  /** When its last chunk was sent, for idleness. */
  lastSentAt: number;
  /** Its place in the schedule of connections; the lowest is next. */
  pass: number;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    const { clock, connectTimeoutMillis, credentials } = options;
    this.dialledAt = clock.now();
    this.lastSentAt = this.dialledAt;
    this.pass = options.pass;
    this.#connectTimer = clock.after(connectTimeoutMillis, () =>
      clock.afterReads(() => {
        if (this.#state !== 'connecting') return;
        this.#fail(tooLate(this.#stage, connectTimeoutMillis, this.#address?.target, credentials.unread));
      }),
    );
    void this.#dial();
  }

  get state(): State {
    return this.#state;
  }

  get address(): Address | undefined {
    return this.#address;
  }

  get inFlight(): number {
    return this.#pending.size;
  }

  get stats(): ConnectionStats {
    return {
      endpoint: this.#address?.endpoint.url,
      address: this.#address?.text,
      state: this.#state,
      ageMillis: this.#options.clock.now() - this.dialledAt,
      inFlightChunks: this.inFlight,
    };
  }

  get info(): ConnectionInfo {
    return { id: this.#options.id, endpoint: this.#address?.endpoint.url, address: this.#address?.text };
  }

  /** Where it leads to, for messages. */
  get place(): string {
    return this.#address === undefined ? this.#options.endpoints : placeOf(this.#address);
  }

  /** Whether a chunk has been acknowledged on it. */
  get isProven(): boolean {
    return this.#acks > 0;
  }

  /** Slow start: a receiver that accepts and never answers costs one chunk's delay. */
  get canTake(): boolean {
    if (this.#state !== 'open' || (this.#isSingleUse && this.isProven)) return false;
    return this.#pending.size < (this.isProven ? this.#options.maxInFlightChunks : 1);
  }

  /** Writes a chunk; only while {@link canTake}. Chunks sent in one turn leave in one write. */
  send(chunk: Chunk): void {
    const writer = this.#writer as ChunkWriter;
    this.lastSentAt = this.#options.clock.now();
    this.#pending.set(chunk.id, {
      chunk,
      sentAt: this.lastSentAt,
      takenAt: undefined,
      isWritten: false,
      overdue: false,
      isGivenUp: false,
    });
    if (!writer.isBusy) this.#lastWriteAt = this.lastSentAt;
    writer.add(chunk);
    this.#armProgressTimer();
  }

  /** Lets the acks arrive that are due, then closes. */
  retire(): void {
    if (this.#state !== 'open') return;
    this.#to('retiring');
    this.#closeIfDrained();
  }

  /**
   * The chunk is settled: acknowledged on another connection, or given up. An open connection still waits for its ack,
   * which shows whether the receiver works; of a chunk that is acknowledged elsewhere, only while nothing else has shown
   * it, and without a time limit.
   */
  forget(chunk: Chunk, end: 'acknowledged' | 'given up'): void {
    const pending = this.#pending.get(chunk.id);
    if (pending === undefined) return;
    const isSent = this.#writer?.remove(chunk) !== true;
    const isAwaited = isSent && !pending.overdue && this.#state === 'open';
    if (isAwaited && end === 'given up') {
      pending.isGivenUp = true;
      return;
    }
    this.#pending.delete(chunk.id);
    if (isAwaited && this.#isSingleUse) this.retire();
    else if (isAwaited && !this.isProven) this.#proof = pending;
    this.#closeIfDrained();
  }

  /** Whether the operating system has taken bytes of the chunk. */
  hasTaken({ id }: Chunk): boolean {
    return this.#pending.get(id)?.takenAt !== undefined;
  }

  /** Closes at once, and reports what is unacknowledged as unanswered. */
  close(): void {
    this.#end(this.#error('FLUENT_FORWARD_CLOSED', 'closed by the exporter'));
  }

  async #dial(): Promise<void> {
    // The resolver is the application's and may log: not before the slot knows of this connection.
    await undefined;
    const { acquire, release } = this.#options;
    let address: Address;
    try {
      address = await acquire();
    } catch (error) {
      this.#fail({ code: 'FLUENT_FORWARD_LOOKUP_FAILED', reason: messageOf(error), cause: error });
      return;
    }
    const isPrepared = this.#state !== 'closed' && (await this.#prepare(serverNameOf(address.target) !== undefined));
    // What this side lacks is no fault of the address.
    if (!isPrepared || this.#isClosed) {
      release(address);
      return;
    }
    this.#address = address;
    this.#reach('connect');
    try {
      this.#listen(openSocket(address.target, this.#certificates));
    } catch (error) {
      this.#lost(error as Error);
    }
  }

  #reach(stage: Stage): void {
    this.#stage = stage;
    this.#options.onStage?.(stage, this.#socket);
  }

  /** Reads what the dial needs; tells whether it could. */
  async #prepare(isTls: boolean): Promise<boolean> {
    const { credentials } = this.#options;
    this.#reach('credentials');
    try {
      const login = await credentials.login();
      if (login !== undefined) this.#handshake = new Handshake(login);
      if (isTls) this.#certificates = await credentials.certificates();
      return true;
    } catch (error) {
      this.#fail({ code: 'FLUENT_FORWARD_CREDENTIALS_UNREADABLE', reason: messageOf(error), cause: error });
      return false;
    }
  }

  #listen(socket: Socket): void {
    this.#socket = socket;
    socket.once('connect', () => {
      if (this.#certificates === undefined) this.#connected();
      else this.#reach('TLS');
    });
    socket.once('secureConnect', () => {
      const { clock, connectTimeoutMillis } = this.#options;
      if ((socket as TLSSocket).getProtocol() === 'TLSv1.3') this.#unverifiedUntil = clock.now() + connectTimeoutMillis;
      this.#connected();
    });
    // A ticket for later sessions comes only after the server's verdict.
    socket.once('session', () => this.#verified());
    socket.on('data', (data) => this.#receive(data));
    socket.once('end', () => this.#lost());
    // Stays for good: closing towards Fluentd often ends in ECONNRESET.
    socket.on('error', (error) => this.#lost(error));
    socket.once('close', () => this.#lost());
  }

  #verified(): void {
    this.#unverifiedUntil = Number.NEGATIVE_INFINITY;
  }

  get #isUnverified(): boolean {
    return this.#options.clock.now() < this.#unverifiedUntil;
  }

  #connected(): void {
    if (this.#state !== 'connecting') return;
    if (this.#handshake === undefined) this.#open();
    else this.#reach('HELO');
  }

  #open(): void {
    this.#connectTimer?.cancel();
    this.#to('open');
    this.#writer = new ChunkWriter(this.#socket as Socket, this);
    const { clock, observer, telemetry } = this.#options;
    telemetry.opened(this, clock.now() - this.dialledAt);
    observer.opened(this);
  }

  #receive(data: Buffer): void {
    this.#isSilent = false;
    this.#verified();
    this.#unaskedBytes += data.length;
    for (const answer of this.#read(data)) {
      this.#endPartial();
      this.#answered(answer);
      if (this.#isClosed) return;
    }
    // More than the acks of all chunks that can be on the way, stale ones included: 1,024 of 30 bytes.
    if (this.#unaskedBytes > MAX_ANSWER_BYTES) {
      this.#failOnAnswer(`the server has sent ${this.#unaskedBytes} bytes that acknowledge nothing`);
    }
    if (this.#answers.isPartial) this.#limitPartial();
  }

  /** The answers in what the server has sent. Fails the connection where that is no answer. */
  *#read(data: Buffer): Generator<Answer> {
    const answers = this.#answers.push(data);
    for (;;) {
      let next: IteratorResult<Answer>;
      try {
        next = answers.next();
      } catch (error) {
        this.#failOnAnswer(`the server answered with ${messageOf(error)}`, error);
        return;
      }
      if (next.done) return;
      yield next.value;
    }
  }

  /** An answer that has begun has to end within the time for an ack; before that the dial's own limit holds. */
  #limitPartial(): void {
    if (this.#partialTimer !== undefined || this.#state === 'connecting' || this.#isClosed) return;
    const { clock, ackTimeoutMillis } = this.#options;
    const startedAt = clock.now();
    const timer = clock.after(ackTimeoutMillis, () =>
      clock.afterReads(() => {
        if (this.#partialTimer !== timer) return;
        // An ack that arrives byte by byte is late at the same time, and the missing ack is the better message. Timers
        // of Node.js fire up to a millisecond early, so the time that has passed cannot decide.
        this.#expire(startedAt);
        // A connection that retires has reported its fault.
        if (this.#state === 'open')
          this.#failOnAnswer(`an answer of the server is incomplete after ${ackTimeoutMillis} ms`);
        else this.close();
      }),
    );
    this.#partialTimer = timer;
  }

  #endPartial(): void {
    this.#partialTimer?.cancel();
    this.#partialTimer = undefined;
  }

  #answered(answer: Answer): void {
    if (this.#state === 'connecting') {
      this.#shakeHands(answer);
      return;
    }
    switch (answer.kind) {
      case 'ack':
        this.#acked(answer.chunk);
        break;
      case 'not accepted':
        this.#notAccepted();
        break;
      case 'hello':
      case 'pong':
        this.#unaskedHandshake();
        break;
    }
  }

  /** Nothing is sent but PING until the server has proved that it knows the shared key. */
  #shakeHands(answer: Answer): void {
    const handshake = this.#handshake as Handshake;
    if (answer.kind === 'hello' && this.#stage === 'HELO') {
      this.#reach('PONG');
      this.#isSingleUse = !answer.hello.keepAlive;
      this.#socket?.write(handshake.ping(answer.hello));
    } else if (answer.kind === 'pong' && this.#stage === 'PONG') {
      const failure = handshake.check(answer.pong);
      if (failure === undefined) this.#open();
      else this.#fail(failure);
    } else {
      this.#failOnAnswer(`the server answered out of turn, when ${this.#stage} was due`);
    }
  }

  #unaskedHandshake(): void {
    if (this.#handshake !== undefined) {
      this.#failOnAnswer('the server began another handshake');
      return;
    }
    this.#fail({
      code: 'FLUENT_FORWARD_AUTH_FAILED',
      reason: 'the server sent HELO: it wants a shared key; set sharedKey or OTEL_EXPORTER_FLUENT_FORWARD_SHARED_KEY',
    });
  }

  /**
   * The id is the last thing in a message, so a receiver that sends it has read the whole. An id that is not pending
   * here (repeated, stale, another connection's) is ignored.
   */
  #acked(id: string): void {
    const acked = this.#pending.get(id) ?? (id === this.#proof?.chunk.id ? this.#proof : undefined);
    if (acked === undefined) return;
    this.#proof = undefined;
    const { observer, clock, telemetry } = this.#options;
    this.#acks++;
    this.#unaskedBytes = 0;
    this.#lastAckAt = clock.now();
    const skipped: Pending[] = [];
    for (const pending of this.#pending.has(id) ? this.#pending.values() : []) {
      if (pending === acked) break;
      if (!pending.overdue) skipped.push(pending);
    }
    this.#pending.delete(id);
    if (skipped.length > 0) {
      const reason = 'the server acknowledged a later chunk and not this one';
      this.#giveBack(skipped, this.#error('FLUENT_FORWARD_ACK_SKIPPED', reason), skipped);
    }
    if (this.#acks === 1) telemetry.ready(this);
    observer.acknowledged(this, acked.chunk, this.#lastAckAt - acked.sentAt);
    if (this.#isSingleUse) this.retire();
    this.#closeIfDrained();
  }

  /** It is about the oldest chunk, as answers come in order. */
  #notAccepted(): void {
    const [pending] = this.#pending.values();
    if (pending === undefined) return;
    if (!pending.overdue) {
      const error = this.#error('FLUENT_FORWARD_NOT_ACCEPTED', 'the server answered a chunk without accepting it');
      this.#giveBack([pending], error, [pending]);
    }
    this.#pending.delete(pending.chunk.id);
    this.#closeIfDrained();
  }

  /** The operating system has taken bytes of a chunk. */
  wrote(chunk: Chunk, isWhole: boolean): void {
    this.#lastWriteAt = this.#options.clock.now();
    const pending = this.#pending.get(chunk.id);
    if (pending !== undefined) {
      pending.takenAt = this.#lastWriteAt;
      pending.isWritten = isWhole;
    }
    this.#armProgressTimer();
  }

  /**
   * Since when nothing has moved although there is something to write. Undefined where there is not, and where the
   * stall has been reported.
   */
  get #stalledSince(): number | undefined {
    const isReported = this.#state !== 'open' && this.#unanswered().length === 0;
    return this.#writer?.isBusy && !isReported ? Math.max(this.#lastWriteAt, this.#lastAckAt) : undefined;
  }

  /**
   * Since when the ack of a chunk is waited for: since its last bytes left, or since the ack of a chunk before it. A
   * slow receiver that acknowledges steadily keeps its chunks. Acks come in the order of the chunks, and a chunk that
   * was passed over is overdue already.
   */
  #waitsSince({ takenAt, isWritten }: Pending): number | undefined {
    return isWritten && takenAt !== undefined ? Math.max(takenAt, this.#lastAckAt) : undefined;
  }

  #armProgressTimer(): void {
    if (this.#progressTimer !== undefined || this.#isClosed) return;
    const [next] = this.#unanswered();
    const ackSince = next === undefined ? undefined : this.#waitsSince(next);
    const since = Math.min(this.#stalledSince ?? Infinity, ackSince ?? Infinity);
    if (since === Infinity) return;
    const { clock, ackTimeoutMillis } = this.#options;
    this.#progressTimer = clock.after(Math.max(0, since + ackTimeoutMillis - clock.now()), () =>
      clock.afterReads(() => {
        this.#progressTimer = undefined;
        const limit = clock.now() - ackTimeoutMillis;
        this.#stall(limit);
        this.#expire(limit);
        this.#armProgressTimer();
      }),
    );
  }

  /** Gives all chunks back if nothing has moved since `limit`: the receiver has stopped reading. */
  #stall(limit: number): void {
    const since = this.#stalledSince;
    if (since === undefined || since > limit || this.#isClosed) return;
    const reason = `the server has read nothing for ${this.#options.ackTimeoutMillis} ms`;
    this.#giveBack(this.#unanswered(), this.#error('FLUENT_FORWARD_ACK_TIMEOUT', reason), []);
  }

  /** Gives back the chunks whose acks are waited for since `limit` or longer. */
  #expire(limit: number): void {
    if (this.#isClosed) return;
    const overdue = this.#unanswered().filter((pending) => (this.#waitsSince(pending) ?? Infinity) <= limit);
    if (overdue.length === 0) return;
    const isUnix = this.#address !== undefined && 'path' in this.#address.target;
    const reason = `no ack within ${this.#options.ackTimeoutMillis} ms${isUnix ? `; ${UNIX_HINT}` : ''}`;
    this.#giveBack(overdue, this.#error('FLUENT_FORWARD_ACK_TIMEOUT', reason), this.#suspects(overdue));
  }

  /**
   * Returns the overdue chunks, so that other connections send them. Also returns the chunks that it has not begun to
   * write. Takes no more chunks. Acks of the overdue chunks still count. `suspects`: the chunks that may be the reason.
   */
  #giveBack(overdue: readonly Pending[], error: FluentForwardConnectionError, suspects: readonly Pending[]): void {
    const unanswered = this.#unanswered();
    if (this.#state === 'open') this.#to('retiring');
    const back: Pending[] = [];
    for (const pending of unanswered) {
      const isUnsent = this.#writer?.remove(pending.chunk) === true;
      if (!isUnsent && !overdue.includes(pending)) continue;
      back.push(pending);
      pending.overdue = true;
      if (isUnsent || pending.isGivenUp) this.#pending.delete(pending.chunk.id);
    }
    const wanted = back.filter(({ isGivenUp }) => !isGivenUp);
    const { observer } = this.#options;
    const chunks = wanted.map(({ chunk }) => chunk);
    observer.failed(this, error, chunks);
    for (const pending of wanted) observer.unacknowledged(this, pending.chunk, error, suspects.includes(pending));
    this.#closeIfDrained();
  }

  /** The server closed the connection, or the socket failed. With nothing in flight neither is a fault. */
  #lost(cause?: NodeJS.ErrnoException): void {
    if (this.#isClosed) return;
    if (this.#state === 'connecting') {
      this.#fail(lostAt(this.#stage, cause, this.#ends, this.#isUnverified));
      return;
    }
    if (this.#isUnverified) {
      this.#fail(refusedAfterTls(cause, this.#ends));
      return;
    }
    this.#fail(lost(cause, this.#ends, this.#isSilent));
  }

  get #ends(): Ends {
    return { target: (this.#address as Address).target, certificates: this.#certificates };
  }

  get #isClosed(): boolean {
    return this.#state === 'closed';
  }

  /** Whether the socket is connected, with TLS that includes its handshake. */
  get #isEstablished(): boolean {
    return this.#state !== 'connecting' || this.#stage === 'HELO' || this.#stage === 'PONG';
  }

  #failOnAnswer(reason: string, cause?: unknown): void {
    this.#fail({ code: 'FLUENT_FORWARD_BAD_ANSWER', reason, cause });
  }

  #fail({ code, reason, cause }: Failure): void {
    if (this.#isClosed) return;
    const error = this.#error(code, reason, cause);
    const chunks = this.#unanswered()
      .filter(({ isGivenUp }) => !isGivenUp)
      .map(({ chunk }) => chunk);
    const isFault = code !== 'FLUENT_FORWARD_CONNECTION_LOST' || chunks.length > 0;
    if (isFault) this.#options.observer.failed(this, error, chunks);
    this.#end(error);
  }

  #closeIfDrained(): void {
    if (this.#state === 'retiring' && this.#pending.size === 0) this.close();
  }

  /** Settles every waiter at once. */
  #end(error: FluentForwardConnectionError): void {
    if (this.#isClosed) return;
    const unanswered = this.#unanswered();
    const suspects = BLAMELESS.includes(error.code) ? [] : this.#suspects(unanswered);
    const isDial = this.#state === 'connecting';
    // What the socket still holds is of no use to the receiver, and neither is the beginning of a chunk.
    const isClean = this.#isEstablished && this.#socket?.writableLength === 0 && this.#writer?.isWithinChunk !== true;
    this.#to('closed');
    this.#connectTimer?.cancel();
    this.#progressTimer?.cancel();
    this.#endPartial();
    this.#pending.clear();
    this.#writer?.end();
    if (isClean) this.#finish(this.#socket as Socket);
    else this.#socket?.destroy();
    const { clock, observer, release, telemetry } = this.#options;
    if (this.#address !== undefined) release(this.#address);
    if (isDial && error.code !== 'FLUENT_FORWARD_CLOSED') telemetry.dialFailed(error, clock.now() - this.dialledAt);
    telemetry.closed(this, error);
    for (const pending of unanswered) observer.unacknowledged(this, pending.chunk, error, suspects.includes(pending));
    observer.closed(this);
  }

  /**
   * Sends a FIN, in TLS after a close_notify: receivers complain about a FIN without one. A receiver that does not read
   * keeps the close_notify from leaving, and the socket is destroyed in the end.
   */
  #finish(socket: Socket): void {
    const { clock, ackTimeoutMillis } = this.#options;
    const limit = clock.after(ackTimeoutMillis, () => socket.destroy());
    socket.once('close', () => limit.cancel());
    socket.destroySoon();
  }

  /** The one of the chunks that the receiver had to answer next. None, if the receiver has no byte of it. */
  #suspects(unanswered: readonly Pending[]): readonly Pending[] {
    const [next] = this.#pending.values();
    return unanswered.filter((pending) => pending === next && pending.takenAt !== undefined);
  }

  #unanswered(): Pending[] {
    return [...this.#pending.values()].filter((pending) => !pending.overdue);
  }

  #to(next: State): void {
    if (!NEXT[this.#state].includes(next)) throw new Error(`a connection cannot go from ${this.#state} to ${next}`);
    this.#state = next;
  }

  #error(code: FluentForwardConnectionError['code'], reason: string, cause?: unknown): FluentForwardConnectionError {
    return new FluentForwardConnectionError(code, `${this.place}: ${reason}`, cause);
  }
}

/** An address with the endpoint that it belongs to. */
function placeOf({ endpoint: { url }, text }: Address): string {
  return url.endsWith(text) ? url : `${url} (${text})`;
}
