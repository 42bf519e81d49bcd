import { backoffDelay } from '../backoff-delay.ts';
import { type Clock, nextTick, type Timer } from '../clock.ts';
import type { Compressor } from '../compress/compressor.ts';
import type { Config } from '../config/config.ts';
import { urlsOf } from '../config/endpoint.ts';
import type { Connection } from '../connection/connection.ts';
import { Credentials } from '../connection/credentials.ts';
import { ConnectionPool, type PoolObserver } from '../connection/pool.ts';
import type { Diagnostics } from '../diagnostics.ts';
import type { Chunk } from '../encode/chunk.ts';
import type { Address } from '../endpoint/address.ts';
import { Addresses } from '../endpoint/addresses.ts';
import type { ExportErrorCode, FluentForwardConnectionError } from '../errors.ts';
import type { MemoryBound } from '../pipeline/memory.ts';
import { type AddressStats, type ConnectionStats, type Counters, Tally, type Volume } from '../stats.ts';
import { OutageReport } from '../telemetry/outage-report.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';
import { Deadline } from './deadline.ts';
import { Doubt, type HandOver, HandOvers } from './doubt.ts';
import { describeRefusal } from './unacknowledged.ts';

/** How the delivery of an export's chunks ended. */
export type Outcome =
  | { readonly kind: 'acknowledged' }
  | ({
      readonly kind: 'failed';
      readonly acknowledgedRecords: number;
      /** What is not acknowledged. */
      readonly failed: Volume;
      readonly cause: FluentForwardConnectionError | undefined;
    } & FailureReason);

type FailureReason =
  | FlushTimeout
  /** `chunk`: one that receivers took and did not acknowledge, if the export failed because of that. */
  | { readonly code: Extract<ExportErrorCode, 'FLUENT_FORWARD_TIMEOUT'>; readonly chunk?: Chunk }
  | { readonly code: Extract<ExportErrorCode, 'FLUENT_FORWARD_CHUNK_REFUSED'>; readonly chunk: Chunk };

/** `limit`: whether `flushTimeoutMillis` passed without an ack, or the flush took {@link MAX_FLUSH_MILLIS}. */
export interface FlushTimeout {
  readonly code: Extract<ExportErrorCode, 'FLUENT_FORWARD_FLUSH_TIMEOUT'>;
  readonly limit: 'no ack' | 'whole flush';
}

type Late = FlushTimeout | { readonly code: Extract<ExportErrorCode, 'FLUENT_FORWARD_TIMEOUT'> };

export interface DeliveryOptions {
  readonly config: Config;
  readonly clock: Clock;
  readonly random: () => number;
  readonly diagnostics: Diagnostics;
  readonly counters: Counters;
  /** Where chunks are compressed before they are sent. */
  readonly compressor: Compressor | undefined;
  readonly memory: MemoryBound;
  readonly telemetry: Telemetry;
}

/** The chunks of one `export()`, which succeed or fail together. */
interface Export {
  readonly chunks: Set<Delivered>;
  readonly done: (outcome: Outcome) => void;
  readonly deadline: Deadline;
  acknowledgedRecords: number;
}

/** A chunk on its way: being compressed, waiting for a connection, or for the acks of those it was sent on. */
interface Delivered {
  /** The compressed one as soon as there is one, which is before it is sent. */
  chunk: Chunk;
  /** What the compressed chunk may take, while the chunk is compressed. */
  reservedBytes: number;
  readonly owner: Export;
  /** The connections that may still acknowledge it. May contain closed connections; ignore them. */
  readonly sentOn: Map<Connection, HandOver>;
  /** The connection that it is on, until it is unanswered there. */
  current: Connection | undefined;
  readonly doubt: Doubt;
  /** Whether a warning says that it is refused. */
  isReported: boolean;
  lastError: FluentForwardConnectionError | undefined;
  /** When `lastError` came. */
  failedAt: number;
}

/** A `flush()` that waits for the exports that were in flight when it was called. */
interface Flush {
  readonly exports: Set<Export>;
  readonly deadline: Deadline;
  readonly resolve: () => void;
}

/** After this many unacknowledged tries a chunk goes behind all others: it may be refused. */
const DOUBTFUL_TRIES = 3;
/** A flush takes no longer, whatever is acknowledged meanwhile: Kubernetes kills a process 30 s after SIGTERM. */
export const MAX_FLUSH_MILLIS = 25_000;

/** Brings each chunk to an ack: over one connection after the other, until its export's deadline. */
export class Delivery implements PoolObserver {
  readonly #options: DeliveryOptions;
  readonly #pool: ConnectionPool;
  readonly #chunks = new Map<string, Delivered>();
  readonly #exports = new Set<Export>();
  /** Not sent yet, and at the end those that had to wait for their own turn. */
  readonly #waiting = new Set<Delivered>();
  /** Lost with their connections; they go first, once the backoff is over. */
  readonly #again = new Set<Delivered>();
  /**
   * Perhaps refused: each waits on its own, longer each time, and then goes last. On a new connection
   * it would keep all others waiting for an ack that may never come.
   */
  readonly #postponed = new Map<Delivered, Timer>();
  readonly #handOvers = new HandOvers();
  readonly #flushes = new Set<Flush>();
  /**
   * Flushes that were called in this turn. BatchLogRecordProcessor may call one just before `export()`, with nothing but
   * microtasks between.
   */
  readonly #startingFlushes = new Set<Flush>();
  #lastAckAt = Number.NEGATIVE_INFINITY;
  #flushTimeout: FlushTimeout | undefined;

  constructor(options: DeliveryOptions) {
    this.#options = options;
    const { clock, config, counters, diagnostics, random } = options;
    const { endpoint: endpoints, resolver, connectTimeoutMillis } = config;
    const tlsServerName = config.tls.serverName;
    this.#pool = new ConnectionPool({
      ...options,
      addresses: new Addresses({
        endpoints,
        resolver,
        tlsServerName,
        connectTimeoutMillis,
        clock,
        random,
        diagnostics,
      }),
      credentials: new Credentials({ config, clock, diagnostics }),
      outage: new OutageReport({ clock, counters, diagnostics }),
    });
    this.#pool.observe(this);
  }

  /** Whether no export is in flight. */
  get isIdle(): boolean {
    return this.#exports.size === 0;
  }

  get waitingRecords(): number {
    let records = 0;
    for (const queue of [this.#waiting, this.#again, this.#postponed.keys()]) {
      for (const { chunk } of queue) records += chunk.records;
    }
    return records;
  }

  /**
   * The timeout of a flush in this turn of the event loop. BatchLogRecordProcessor exports the rest of its queue
   * then, batch after batch, and nothing but microtasks lies between.
   */
  get flushTimeout(): FlushTimeout | undefined {
    return this.#flushTimeout;
  }

  get connectionStats(): ConnectionStats[] {
    return this.#pool.connectionStats;
  }

  get addressStats(): AddressStats[] {
    return this.#pool.addressStats;
  }

  /** The last fault, while there has been no ack since. */
  get lastError(): FluentForwardConnectionError | undefined {
    return this.#pool.lastError;
  }

  /** Delivers the chunks of one export; `done` is called once, in a later turn. */
  deliver(chunks: readonly Chunk[], done: (outcome: Outcome) => void): void {
    const { clock, config } = this.#options;
    const dueAt = clock.now() + config.timeoutMillis;
    const owner: Export = {
      chunks: new Set(),
      done,
      // The one timer that keeps the process alive: as long as records wait, and no longer.
      deadline: new Deadline({
        clock,
        dueAt: () => dueAt,
        roundMillis: Math.min(config.timeoutMillis, this.#roundMillis),
        keepAlive: true,
        onDue: () => this.#giveUp([owner], { code: 'FLUENT_FORWARD_TIMEOUT' }),
      }),
      acknowledgedRecords: 0,
    };
    this.#exports.add(owner);
    for (const flush of this.#startingFlushes) flush.exports.add(owner);
    for (const chunk of chunks) this.#admit(chunk, owner);
    this.#send();
  }

  #admit(chunk: Chunk, owner: Export): void {
    const delivered: Delivered = {
      chunk,
      reservedBytes: 0,
      owner,
      sentOn: new Map(),
      current: undefined,
      doubt: new Doubt(this.#handOvers),
      isReported: false,
      lastError: undefined,
      failedAt: Number.NEGATIVE_INFINITY,
    };
    owner.chunks.add(delivered);
    this.#chunks.set(chunk.id, delivered);
    const { compressor, memory } = this.#options;
    memory.hold(chunk);
    if (compressor?.takes(chunk)) {
      // The compressed chunk takes no more memory than the raw one.
      memory.reserve(chunk.heldBytes);
      delivered.reservedBytes = chunk.heldBytes;
      compressor.compress(chunk, (compressed) => this.#compressed(delivered, compressed));
    } else {
      this.#waiting.add(delivered);
    }
  }

  /** Sends the chunk compressed, or as it is where that cannot be. */
  #compressed(delivered: Delivered, compressed: Chunk | undefined): void {
    const { chunk } = delivered;
    if (!this.#chunks.has(chunk.id)) {
      // It has been given up in the meantime.
      compressed?.release();
      return;
    }
    const { memory } = this.#options;
    this.#endReservation(delivered);
    if (compressed !== undefined) {
      delivered.chunk = compressed;
      memory.hold(compressed);
      memory.release(chunk);
    }
    this.#waiting.add(delivered);
    this.#send();
  }

  #endReservation(delivered: Delivered): void {
    this.#options.memory.free(delivered.reservedBytes);
    delivered.reservedBytes = 0;
  }

  /** How long it may take to dial once and to send one chunk. */
  get #roundMillis(): number {
    const { connectTimeoutMillis, ackTimeoutMillis } = this.#options.config;
    return connectTimeoutMillis + ackTimeoutMillis;
  }

  /**
   * Resolves when the exports in flight have their outcomes. What has none fails after `flushTimeoutMillis` without an
   * ack, and at the latest after 25 s. Ends a backoff that is being waited for.
   */
  async flush(): Promise<void> {
    await new Promise<void>((resolve) => {
      const flush = this.#startFlush(resolve);
      this.#startingFlushes.add(flush);
      void microtasksDone().then(() => {
        this.#startingFlushes.delete(flush);
        if (flush.exports.size > 0) this.#hurry();
        this.#endFlushIfSettled(flush);
      });
    });
  }

  #startFlush(resolve: () => void): Flush {
    const { clock, config } = this.#options;
    const startedAt = clock.now();
    // Not named exports: in CommonJS that is the module's.
    const waitedFor = new Set(this.#exports);
    const withoutAckSince = () => Math.max(startedAt, this.#lastAckAt);
    const deadline = new Deadline({
      clock,
      dueAt: () => Math.min(withoutAckSince() + config.flushTimeoutMillis, startedAt + MAX_FLUSH_MILLIS),
      roundMillis: Math.min(config.flushTimeoutMillis, this.#roundMillis),
      onDue: () => {
        const isTooLong = withoutAckSince() + config.flushTimeoutMillis > startedAt + MAX_FLUSH_MILLIS;
        this.#flushTimeout = { code: 'FLUENT_FORWARD_FLUSH_TIMEOUT', limit: isTooLong ? 'whole flush' : 'no ack' };
        const late = [...waitedFor].filter((each) => this.#exports.has(each));
        this.#giveUp(late, this.#flushTimeout);
      },
      onTurnEnd: () => {
        this.#flushTimeout = undefined;
      },
    });
    const flush = { exports: waitedFor, deadline, resolve };
    this.#flushes.add(flush);
    return flush;
  }

  /** Ends the backoff, and the waits of chunks that may be refused. */
  #hurry(): void {
    for (const delivered of this.#postponed.keys()) this.#resume(delivered);
    this.#pool.retryNow();
  }

  #endFlushIfSettled(flush: Flush): void {
    if (flush.exports.size > 0 || this.#startingFlushes.has(flush)) return;
    this.#flushes.delete(flush);
    flush.deadline.cancel();
    flush.resolve();
  }

  close(): void {
    this.#options.compressor?.close();
    this.#pool.close();
  }

  onCapacity(): void {
    this.#send();
  }

  acknowledged(connection: Connection, chunk: Chunk, latencyMillis: number): void {
    const delivered = this.#chunks.get(chunk.id);
    this.#lastAckAt = this.#options.clock.now();
    if (delivered !== undefined) {
      const { owner } = delivered;
      const handOver = delivered.sentOn.get(connection);
      if (handOver !== undefined) this.#handOvers.acknowledged(handOver);
      owner.acknowledgedRecords += chunk.records;
      this.#options.counters.acknowledged.add(volumeOf(chunk));
      this.#settle(delivered, 'acknowledged');
      this.#options.telemetry.acknowledged(chunk, connection, latencyMillis);
      if (owner.chunks.size === 0) this.#finish(owner, { kind: 'acknowledged' });
    }
    this.#send();
    if (this.#again.size === 0) this.#pool.reportRecovery();
  }

  unacknowledged(connection: Connection, chunk: Chunk, error: FluentForwardConnectionError, isSuspect: boolean): void {
    const delivered = this.#chunks.get(chunk.id);
    if (delivered === undefined) return;
    delivered.current = undefined;
    delivered.lastError = error;
    delivered.failedAt = this.#options.clock.now();
    const handOver = delivered.sentOn.get(connection);
    if (isSuspect && handOver !== undefined) delivered.doubt.add(handOver);
    const isClosed = connection.state === 'closed';
    if (isClosed) delivered.sentOn.delete(connection);
    // A connection that lives on without acknowledging the chunk puts the chunk in doubt.
    const isDoubtful = isSuspect && (!isClosed || delivered.doubt.tries >= DOUBTFUL_TRIES);
    if (isDoubtful) this.#postpone(delivered);
    else this.#again.add(delivered);
    this.#send();
  }

  #postpone(delivered: Delivered): void {
    const { clock, random } = this.#options;
    const timer = clock.after(backoffDelay(delivered.doubt.tries, random), () => this.#resume(delivered));
    this.#postponed.set(delivered, timer);
  }

  /** Queues a postponed chunk behind all others. */
  #resume(delivered: Delivered): void {
    this.#postponed.get(delivered)?.cancel();
    this.#postponed.delete(delivered);
    this.#reportRefusal(delivered);
    this.#waiting.add(delivered);
    this.#send();
  }

  /** Warns once of a chunk that is refused for certain. */
  #reportRefusal(delivered: Delivered): void {
    if (delivered.isReported || !delivered.doubt.isCertain) return;
    delivered.isReported = true;
    const { config, diagnostics } = this.#options;
    const refusal = `${urlsOf(config.endpoint)}: ${describeRefusal(delivered.chunk)}`;
    diagnostics.warn('refused', `${refusal}; trying on until the deadline`);
  }

  /** Hands waiting chunks to connections, and has connections opened when there are not enough. */
  #send(): void {
    if (this.#again.size > 0) {
      if (this.#pool.isBackingOff) this.#pool.wakeAfterBackoff();
      else this.#sendFrom(this.#again);
    }
    this.#sendFrom(this.#waiting);
  }

  #sendFrom(queue: Set<Delivered>): void {
    if (queue.size === 0) return;
    this.#pool.connect();
    for (const delivered of queue) {
      const connection = this.#pool.pick();
      if (connection === undefined) return;
      queue.delete(delivered);
      this.#handOver(delivered, connection);
    }
  }

  #handOver(delivered: Delivered, connection: Connection): void {
    const { counters, telemetry } = this.#options;
    const { chunk, lastError } = delivered;
    delivered.current = connection;
    delivered.sentOn.set(connection, this.#handOvers.next(connection.address as Address));
    this.#pool.send(connection, chunk);
    // What was handed over before has come back by an error.
    if (lastError === undefined) {
      counters.sent.add(volumeOf(chunk));
      telemetry.sent(chunk, connection);
    } else {
      counters.resent.add(volumeOf(chunk));
      counters.resentChunks.add(lastError.code);
      telemetry.resent(chunk, connection, lastError);
    }
  }

  #settle(delivered: Delivered, end: 'acknowledged' | 'given up'): void {
    const { chunk, owner, sentOn } = delivered;
    this.#chunks.delete(chunk.id);
    this.#unqueue(delivered);
    owner.chunks.delete(delivered);
    for (const connection of sentOn.keys()) connection.forget(chunk, end);
    this.#endReservation(delivered);
    this.#options.memory.release(chunk);
  }

  #unqueue(delivered: Delivered): void {
    this.#options.compressor?.cancel(delivered.chunk);
    this.#waiting.delete(delivered);
    this.#again.delete(delivered);
    this.#postponed.get(delivered)?.cancel();
    this.#postponed.delete(delivered);
  }

  /** Gives exports up, whatever of them is still under way. */
  #giveUp(owners: readonly Export[], late: Late): void {
    // First of all, so that no connection that comes free takes one of their chunks.
    for (const owner of owners) for (const delivered of owner.chunks) this.#unqueue(delivered);
    for (const owner of owners) this.#fail(owner, late);
    this.#send();
  }

  #fail(owner: Export, late: Late): void {
    const left = [...owner.chunks];
    const cause = this.#lastFault(left);
    const why = this.#whyFailed(left, late, cause);
    const failed = new Tally();
    for (const delivered of left) {
      failed.add(volumeOf(delivered.chunk));
      this.#settle(delivered, 'given up');
    }
    const { acknowledgedRecords } = owner;
    this.#finish(owner, { kind: 'failed', acknowledgedRecords, failed, cause, ...why });
    for (const { chunk, lastError } of left) this.#options.telemetry.failed(chunk, why.code, lastError);
  }

  /**
   * The most recent fault that concerns the chunks. While one of them waits for a connection, that is the last fault of
   * any connection.
   */
  #lastFault(left: readonly Delivered[]): FluentForwardConnectionError | undefined {
    const [latest] = left.toSorted((a, b) => b.failedAt - a.failedAt);
    const isWaiting = left.some(({ current }) => current === undefined);
    return isWaiting ? (this.#pool.lastError ?? latest?.lastError) : (latest?.lastError ?? this.#pool.lastError);
  }

  #whyFailed(left: readonly Delivered[], late: Late, cause: FluentForwardConnectionError | undefined): FailureReason {
    if (late.code === 'FLUENT_FORWARD_FLUSH_TIMEOUT') return late;
    const refused = left.find(({ doubt }) => doubt.isLikely);
    if (refused !== undefined) return { code: 'FLUENT_FORWARD_CHUNK_REFUSED', chunk: refused.chunk };
    const taken = left.find(
      ({ chunk, current, doubt, lastError }) => current?.hasTaken(chunk) || (doubt.tries > 0 && lastError === cause),
    );
    return taken === undefined ? late : { ...late, chunk: taken.chunk };
  }

  #finish(owner: Export, outcome: Outcome): void {
    owner.deadline.cancel();
    this.#exports.delete(owner);
    // The application's callback may export again; it must not find this half done.
    nextTick(() => {
      try {
        owner.done(outcome);
      } finally {
        for (const flush of this.#flushes) {
          flush.exports.delete(owner);
          this.#endFlushIfSettled(flush);
        }
      }
    });
  }
}

/** Resolves when the microtask queue of this turn is empty. */
async function microtasksDone(): Promise<void> {
  // The first tick may come before the microtasks. The second one is made by a microtask, and comes after all of them.
  for (let ticks = 0; ticks < 2; ticks++) await new Promise<void>((done) => nextTick(done));
}

function volumeOf({ records, bytes, rawBytes }: Chunk): Volume {
  return { records, bytes: bytes.length, rawBytes };
}
