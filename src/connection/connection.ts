import type { Clock, Timer } from '../clock.ts';
import type { Chunk } from '../encode/chunk.ts';
import type { Address } from '../endpoint/address.ts';
import { FluentForwardConnectionError } from '../errors.ts';
import type { Answer } from '../protocol/answer.ts';
import type { ConnectionStats } from '../stats.ts';
import type { ConnectionInfo } from '../telemetry/channels.ts';
import { ChunkWriter } from './chunk-writer.ts';
import type { ConnectionEvent } from './connection-event.ts';
import type { OpenSocket } from './dial.ts';
import { CLOSED, type Ends, type Failure, lost, placeOf, refusedAfterTls } from './failure.ts';
import { FAULTS } from './faults.ts';
import { InFlight } from './in-flight.ts';
import { closeSocket } from './socket.ts';
import type { SocketUser } from './socket-events.ts';

/**
 * open → retiring → closed, or open → closed.
 * - open: takes chunks; one until the first ack, then up to `maxInFlightChunks`.
 * - retiring: takes no chunks, waits for acks, then closes.
 */
type State = Exclude<ConnectionStats['state'], 'connecting'>;

const NEXT: Readonly<Record<State, readonly State[]>> = {
  open: ['retiring', 'closed'],
  retiring: ['closed'],
  closed: [],
};

export interface ConnectionOptions {
  /** Its number among the connections of the exporter. */
  readonly id: number;
  readonly dialledAt: number;
  readonly opened: OpenSocket;
  readonly ackTimeoutMillis: number;
  readonly maxInFlightChunks: number;
  readonly clock: Clock;
  readonly onEvent: (event: ConnectionEvent) => void;
}

const UNIX_HINT = "Fluentd's in_unix never acknowledges: use its in_forward, or Fluent Bit's unix_path";

/** Nothing new has arrived. */
const NO_DATA = Buffer.alloc(0);

/** A socket that is open, from its first chunk to its end. A reconnect is a new object. */
export class Connection implements SocketUser {
  readonly #options: ConnectionOptions;
  readonly #inFlight: InFlight;
  readonly #writer: ChunkWriter;
  #state: State = 'open';
  /** Runs while an ack or the end of a write is awaited. */
  #progressTimer: Timer | undefined;
  /** Runs while an answer has begun to arrive. */
  #partialTimer: Timer | undefined;
  /** When its last chunk was sent, or when it was dialled. */
  lastSentAt: number;
  /** Its place in the schedule of connections; the lowest is next. */
  pass: number = 0;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    const { clock, dialledAt, opened } = options;
    this.#inFlight = new InFlight(clock);
    this.#writer = new ChunkWriter(opened.socket, (chunk, isWhole) => {
      this.#inFlight.wrote(chunk, isWhole);
      this.#armProgressTimer();
    });
    this.lastSentAt = dialledAt;
  }

  /** Begins to read. To be called once, when the owner is ready for events. */
  start(): void {
    this.#options.opened.events.user = this;
    this.received(NO_DATA);
  }

  get state(): State {
    return this.#state;
  }

  get address(): Address {
    return this.#options.opened.address;
  }

  /** When its dial began, on the clock. */
  get dialledAt(): number {
    return this.#options.dialledAt;
  }

  get inFlight(): number {
    return this.#inFlight.size;
  }

  get stats(): ConnectionStats {
    return {
      endpoint: this.address.endpoint.url,
      address: this.address.text,
      state: this.#state,
      ageMillis: this.#options.clock.now() - this.dialledAt,
      inFlightChunks: this.inFlight,
    };
  }

  get info(): ConnectionInfo {
    return { id: this.#options.id, endpoint: this.address.endpoint.url, address: this.address.text };
  }

  /** Where it leads to, for messages. */
  get place(): string {
    return placeOf(this.address);
  }

  /** Whether a chunk has been acknowledged on it. */
  get isProven(): boolean {
    return this.#inFlight.isProven;
  }

  /** Slow start: a receiver that accepts connections and never answers delays one chunk only. */
  get canTake(): boolean {
    if (this.#state !== 'open' || (this.#isSingleUse && this.isProven)) return false;
    return this.inFlight < (this.isProven ? this.#options.maxInFlightChunks : 1);
  }

  /** Writes a chunk; only while {@link canTake}. Chunks sent in one turn leave in one write. */
  send(chunk: Chunk): void {
    this.lastSentAt = this.#options.clock.now();
    this.#inFlight.add(chunk, !this.#writer.isBusy);
    this.#writer.add(chunk);
    this.#armProgressTimer();
  }

  /** Takes no more chunks, waits for outstanding acks, then closes. Closes at once if there are none. */
  retire(): void {
    if (this.#state !== 'open') return;
    this.#to('retiring');
    this.#closeIfDrained();
  }

  /**
   * The chunk is settled: acknowledged on another connection, or given up. An open connection still waits for its ack,
   * which shows that the receiver works. It waits without a time limit for the ack of a chunk that was acknowledged
   * elsewhere, and only until its first ack.
   */
  forget(chunk: Chunk, end: 'acknowledged' | 'given up'): void {
    if (!this.#inFlight.has(chunk)) return;
    const isSent = !this.#writer.remove(chunk);
    const isAwaited = isSent && this.#state === 'open' && this.#inFlight.isAwaited(chunk);
    if (isAwaited && end === 'given up') {
      this.#inFlight.giveUp(chunk);
      return;
    }
    if (isAwaited && !this.#isSingleUse) this.#inFlight.acknowledgedElsewhere(chunk);
    else this.#inFlight.remove(chunk);
    if (isAwaited && this.#isSingleUse) this.retire();
    this.#closeIfDrained();
  }

  /** Whether the operating system has taken bytes of the chunk. */
  hasTaken(chunk: Chunk): boolean {
    return this.#inFlight.hasTaken(chunk);
  }

  /** Closes at once. Chunks that are not acknowledged have to be sent again. */
  close(): void {
    this.#end(CLOSED);
  }

  received(data: Buffer): void {
    const { answers, verdict } = this.#options.opened;
    if (data.length > 0) verdict?.give();
    for (const answer of answers.read(data)) {
      if (this.#isClosed) return;
      if (answer.kind === 'invalid') {
        this.#end({ ...answer, code: 'FLUENT_FORWARD_BAD_ANSWER' });
        return;
      }
      this.#endPartial();
      this.#answered(answer);
    }
    if (answers.isPartial) this.#limitPartial();
  }

  /** The server closed the connection, or the socket failed. */
  lost(cause?: NodeJS.ErrnoException): void {
    const { answers, verdict } = this.#options.opened;
    this.#end(verdict?.isPending ? refusedAfterTls(cause, this.#ends) : lost(cause, this.#ends, answers.isSilent));
  }

  /** An answer that has begun has to be complete within the time for an ack. */
  #limitPartial(): void {
    if (this.#partialTimer !== undefined || this.#isClosed) return;
    const { clock, ackTimeoutMillis } = this.#options;
    const startedAt = clock.now();
    const timer = clock.after(ackTimeoutMillis, () =>
      clock.afterReads(() => {
        if (this.#partialTimer !== timer) return;
        // An ack that arrives byte by byte is late at the same time, and the missing ack is the better message. Timers
        // of Node.js fire up to a millisecond early, so the time that has passed cannot decide.
        this.#expire(startedAt);
        // A connection that retires has reported its fault.
        if (this.#state !== 'open') this.close();
        else {
          const reason = `an answer of the server is incomplete after ${ackTimeoutMillis} ms`;
          this.#end({ code: 'FLUENT_FORWARD_BAD_ANSWER', reason });
        }
      }),
    );
    this.#partialTimer = timer;
  }

  #endPartial(): void {
    this.#partialTimer?.cancel();
    this.#partialTimer = undefined;
  }

  #answered(answer: Answer): void {
    switch (answer.kind) {
      case 'ack':
        this.#acknowledged(answer.chunk);
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

  #unaskedHandshake(): void {
    if (this.#options.opened.handshake !== undefined) {
      this.#end({ code: 'FLUENT_FORWARD_BAD_ANSWER', reason: 'the server began another handshake' });
      return;
    }
    this.#end({
      code: 'FLUENT_FORWARD_AUTH_FAILED',
      reason: 'the server sent HELO: it wants a shared key; set sharedKey or OTEL_EXPORTER_FLUENT_FORWARD_SHARED_KEY',
    });
  }

  #acknowledged(id: string): void {
    const acknowledgement = this.#inFlight.acknowledge(id);
    if (acknowledgement === undefined) return;
    const { skipped, ...acknowledged } = acknowledgement;
    this.#options.opened.answers.acknowledged();
    if (skipped.length > 0) {
      const reason = 'the server acknowledged a later chunk and not this one';
      this.#giveBack({ code: 'FLUENT_FORWARD_ACK_SKIPPED', reason }, skipped, skipped);
    }
    this.#options.onEvent({ kind: 'acknowledged', ...acknowledged });
    if (this.#isSingleUse) this.retire();
    this.#closeIfDrained();
  }

  /** Answers come in the order of the chunks, so this one is about the oldest chunk. */
  #notAccepted(): void {
    const { oldest } = this.#inFlight;
    if (oldest === undefined) return;
    if (this.#inFlight.isAwaited(oldest)) {
      const reason = 'the server answered a chunk without accepting it';
      this.#giveBack({ code: 'FLUENT_FORWARD_NOT_ACCEPTED', reason }, [oldest], [oldest]);
    }
    this.#inFlight.remove(oldest);
    this.#closeIfDrained();
  }

  /**
   * Since when nothing has moved although there are bytes to write. Undefined if there are none, and after the stall was
   * reported.
   */
  get #stalledSince(): number | undefined {
    const isReported = this.#state !== 'open' && this.#inFlight.unacknowledged.length === 0;
    return this.#writer.isBusy && !isReported ? this.#inFlight.quietSince : undefined;
  }

  #armProgressTimer(): void {
    if (this.#progressTimer !== undefined || this.#isClosed) return;
    const since = Math.min(this.#stalledSince ?? Infinity, this.#inFlight.ackAwaitedSince ?? Infinity);
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
    this.#giveBack({ code: 'FLUENT_FORWARD_ACK_TIMEOUT', reason }, this.#inFlight.unacknowledged, []);
  }

  /** Gives back the chunks whose acks have been awaited since `limit` or longer. */
  #expire(limit: number): void {
    if (this.#isClosed) return;
    const overdue = this.#inFlight.overdueSince(limit);
    if (overdue.length === 0) return;
    const isUnix = 'path' in this.address.target;
    const reason = `no ack within ${this.#options.ackTimeoutMillis} ms${isUnix ? `; ${UNIX_HINT}` : ''}`;
    this.#giveBack({ code: 'FLUENT_FORWARD_ACK_TIMEOUT', reason }, overdue, [this.#inFlight.suspect]);
  }

  /**
   * Gives the overdue chunks back, so that other connections send them, and the chunks that it has not begun to write.
   * Takes no more chunks. `suspects`: the chunks that may be the reason.
   */
  #giveBack(failure: Failure, overdue: readonly Chunk[], suspects: readonly (Chunk | undefined)[]): void {
    if (this.#state === 'open') this.#to('retiring');
    const chunks = this.#inFlight.giveBack(overdue, (chunk) => this.#writer.remove(chunk));
    const unacknowledged = chunks.map((chunk) => ({ chunk, isSuspect: suspects.includes(chunk) }));
    this.#options.onEvent({ kind: 'failed', error: this.#error(failure), unacknowledged });
    this.#closeIfDrained();
  }

  get #ends(): Ends {
    const { address, certificates } = this.#options.opened;
    return { target: address.target, certificates };
  }

  get #isClosed(): boolean {
    return this.#state === 'closed';
  }

  /** Whether the server takes one message, and then closes the connection. */
  get #isSingleUse(): boolean {
    return this.#options.opened.handshake?.isSingleUse === true;
  }

  #closeIfDrained(): void {
    if (this.#state === 'retiring' && this.inFlight === 0) this.close();
  }

  #end(failure: Failure): void {
    if (this.#isClosed) return;
    const { ackTimeoutMillis, clock, onEvent, opened } = this.#options;
    const { isFault, suspectsChunk } = FAULTS[failure.code];
    const suspect = suspectsChunk ? this.#inFlight.suspect : undefined;
    // The beginning of a chunk is of no use to the receiver.
    closeSocket(opened.socket, !this.#writer.isWithinChunk, clock, ackTimeoutMillis);
    this.#to('closed');
    this.#progressTimer?.cancel();
    this.#endPartial();
    const unacknowledged = this.#inFlight.clear().map((chunk) => ({ chunk, isSuspect: chunk === suspect }));
    this.#writer.end();
    onEvent({
      kind: 'closed',
      error: this.#error(failure),
      isFault: isFault === 'always' || (isFault === 'if chunks are unacknowledged' && unacknowledged.length > 0),
      unacknowledged,
    });
  }

  #to(next: State): void {
    if (!NEXT[this.#state].includes(next)) throw new Error(`a connection cannot go from ${this.#state} to ${next}`);
    this.#state = next;
  }

  #error({ code, reason, cause }: Failure): FluentForwardConnectionError {
    return new FluentForwardConnectionError(code, `${this.place}: ${reason}`, cause);
  }
}
