import { type Clock, nextTick, type Timer } from '../clock.ts';
import type { Compressor } from '../compress/compressor.ts';
import type { Config } from '../config/config.ts';
import { urlsOf } from '../config/endpoint.ts';
import { backoffDelay } from '../connection/backoff.ts';
import type { Connection } from '../connection/connection.ts';
import { ConnectionPool, type PoolObserver } from '../connection/pool.ts';
import type { Diagnostics } from '../diagnostics.ts';
import type { Chunk } from '../encode/chunk.ts';
import type { ConnectionErrorCode, ExportErrorCode, FluentForwardConnectionError } from '../errors.ts';
import { type AddressStats, type ConnectionStats, type Counters, Tally, type Volume } from '../stats.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';

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
  | { readonly code: LateCode }
  /** `chunk` reaches receivers and is not acknowledged. */
  | { readonly code: Extract<ExportErrorCode, 'FLUENT_FORWARD_CHUNK_REFUSED'>; readonly chunk: Chunk };

type LateCode = Extract<ExportErrorCode, 'FLUENT_FORWARD_TIMEOUT' | 'FLUENT_FORWARD_FLUSH_TIMEOUT'>;

export interface DeliveryOptions {
  readonly config: Config;
  readonly clock: Clock;
  readonly random: () => number;
  readonly diagnostics: Diagnostics;
  readonly counters: Counters;
  /** Where chunks are compressed before they are sent. */
  readonly compressor: Compressor | undefined;
  readonly telemetry: Telemetry;
}

/** The chunks of one `export()`, which succeed or fail together. */
interface Export {
  readonly chunks: Set<Delivered>;
  readonly done: (outcome: Outcome) => void;
  readonly deadline: Timer;
  /** What its chunks hold, and what their compression may take. */
  heldBytes: number;
  /** A flush waits for it, or came just before it. */
  isFlushed: boolean;
  acknowledgedRecords: number;
}

/** A chunk on its way: being compressed, waiting for a connection, or for the acks of those it was sent on. */
interface Delivered {
  /** The compressed one as soon as there is one, which is before it is sent. */
  chunk: Chunk;
  readonly owner: Export;
  /** Where an ack may still come from; closed ones among them count for nothing. */
  readonly sentOn: Set<Connection>;
  /** Connections that it ended unanswered on. */
  unanswered: number;
  /** The last time. */
  sentAt: number | undefined;
  lastError: FluentForwardConnectionError | undefined;
}

/** A `flush()` that waits for the exports that were in flight when it was called. */
interface Flush {
  readonly exports: Set<Export>;
  readonly resolve: () => void;
}

/** Unanswered on so many connections, a chunk is probably refused, and not the receivers broken. */
const PROBABLY_REFUSED = 3;
/** The receiver wants TLS or a handshake of another kind, whatever the chunk. */
const BLAMELESS: readonly ConnectionErrorCode[] = [
  'FLUENT_FORWARD_BAD_ANSWER',
  'FLUENT_FORWARD_AUTH_FAILED',
  'FLUENT_FORWARD_TLS_FAILED',
];
/** What one export counts at least towards `maxInFlightBytes`. */
const MIN_EXPORT_BYTES = 1024;
/**
 * BatchLogRecordProcessor may call `forceFlush()` just before it exports, and exports the rest of its
 * queue when a flushed batch has failed. What comes later than this has nothing to do with the flush.
 */
const FLUSH_GRACE_MILLIS = 1_000;

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
  #inFlightBytes = 0;
  readonly #flushes = new Set<Flush>();
  #flushedAt = Number.NEGATIVE_INFINITY;
  /** Runs while there is a budget that flushes share. */
  #flushTimer: Timer | undefined;
  #flushSpentAt = Number.NEGATIVE_INFINITY;

  constructor(options: DeliveryOptions) {
    this.#options = options;
    this.#pool = new ConnectionPool({ ...options, observer: this });
  }

  /** Bytes held for exports that have no outcome yet. */
  get inFlightBytes(): number {
    return this.#inFlightBytes;
  }

  get waitingRecords(): number {
    let records = 0;
    for (const queue of [this.#waiting, this.#again, this.#postponed.keys()]) {
      for (const { chunk } of queue) records += chunk.records;
    }
    return records;
  }

  /** Whether a flush has used up its time without an ack, so that what comes with it cannot be delivered either. */
  get isFlushSpent(): boolean {
    return this.#options.clock.now() < this.#flushSpentAt + FLUSH_GRACE_MILLIS;
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
    const owner: Export = {
      chunks: new Set(),
      done,
      // The one timer that holds the process: as long as records wait, and not longer than this.
      deadline: clock.after(
        config.timeoutMillis,
        () => clock.afterReads(() => this.#exports.has(owner) && this.#giveUp([owner], 'FLUENT_FORWARD_TIMEOUT')),
        true,
      ),
      heldBytes: 0,
      isFlushed: clock.now() <= this.#flushedAt + FLUSH_GRACE_MILLIS,
      acknowledgedRecords: 0,
    };
    this.#exports.add(owner);
    this.#inFlightBytes += countedBytes(owner);
    for (const chunk of chunks) this.#admit(chunk, owner);
    this.#send();
  }

  #admit(chunk: Chunk, owner: Export): void {
    const delivered: Delivered = {
      chunk,
      owner,
      sentOn: new Set(),
      unanswered: 0,
      sentAt: undefined,
      lastError: undefined,
    };
    owner.chunks.add(delivered);
    this.#chunks.set(chunk.id, delivered);
    const { compressor } = this.#options;
    if (compressor?.takes(chunk)) {
      // What comes out of it takes no more than what goes in.
      this.#hold(owner, 2 * chunk.heldBytes);
      compressor.compress(chunk, (compressed) => this.#compressed(delivered, compressed));
    } else {
      this.#hold(owner, chunk.heldBytes);
      this.#waiting.add(delivered);
    }
  }

  /** Sends the chunk compressed, or as it is where that cannot be. */
  #compressed(delivered: Delivered, compressed: Chunk | undefined): void {
    const { chunk, owner } = delivered;
    if (!this.#chunks.has(chunk.id)) {
      // It has been given up in the meantime.
      compressed?.release();
      return;
    }
    this.#hold(owner, (compressed ?? chunk).heldBytes - 2 * chunk.heldBytes);
    if (compressed !== undefined) {
      delivered.chunk = compressed;
      chunk.release();
    }
    this.#waiting.add(delivered);
    this.#send();
  }

  /** Counts memory for an export; less where `bytes` is negative. */
  #hold(owner: Export, bytes: number): void {
    const before = countedBytes(owner);
    owner.heldBytes += bytes;
    this.#inFlightBytes += countedBytes(owner) - before;
  }

  /**
   * Resolves when the exports in flight have their outcomes, at the latest after `flushTimeoutMillis` without
   * an ack: what is left then fails. Ends a backoff that is being waited for.
   */
  async flush(): Promise<void> {
    this.#startFlushBudget();
    if (this.#exports.size === 0) return;
    for (const owner of this.#exports) owner.isFlushed = true;
    const settled = new Promise<void>((resolve) => this.#flushes.add({ exports: new Set(this.#exports), resolve }));
    for (const delivered of this.#postponed.keys()) this.#resume(delivered);
    this.#pool.retryNow();
    await settled;
  }

  close(): void {
    this.#flushTimer?.cancel();
    this.#options.compressor?.close();
    this.#pool.close();
  }

  available(): void {
    this.#send();
  }

  acknowledged(connection: Connection, chunk: Chunk, latencyMillis: number): void {
    const delivered = this.#chunks.get(chunk.id);
    this.#restartFlushBudget();
    if (delivered !== undefined) {
      const { owner } = delivered;
      owner.acknowledgedRecords += chunk.records;
      this.#options.counters.acknowledged.add(volumeOf(chunk));
      this.#settle(delivered, false);
      this.#options.telemetry.acknowledged(chunk, connection, latencyMillis);
      if (owner.chunks.size === 0) this.#finish(owner, { kind: 'acknowledged' });
    }
    this.#send();
    if (this.#again.size === 0) this.#pool.tellRecovery();
  }

  unanswered(connection: Connection, chunk: Chunk, error: FluentForwardConnectionError): void {
    const delivered = this.#chunks.get(chunk.id);
    if (delivered === undefined) return;
    delivered.lastError = error;
    if (connection.state === 'closed') delivered.sentOn.delete(connection);
    // The first reset what came too late for it; the others never looked at a chunk.
    const isBlameless = connection.endedAfterSingleAck || BLAMELESS.includes(error.code);
    if (!isBlameless) delivered.unanswered++;
    // A connection that lives on without acknowledging the chunk puts the chunk in doubt.
    const isDoubtful = connection.state !== 'closed' || delivered.unanswered >= PROBABLY_REFUSED;
    if (isDoubtful) this.#postpone(delivered);
    else this.#again.add(delivered);
    this.#send();
  }

  #postpone(delivered: Delivered): void {
    const { clock, config, diagnostics, random } = this.#options;
    if (delivered.unanswered === PROBABLY_REFUSED) {
      const refusal = `${urlsOf(config.endpoint)}: ${describeRefusal(delivered.chunk)}`;
      diagnostics.warn('refused', `${refusal}; trying on until the deadline`);
    }
    const timer = clock.after(backoffDelay(delivered.unanswered, random), () => this.#resume(delivered));
    this.#postponed.set(delivered, timer);
  }

  /** Queues a postponed chunk behind all others. */
  #resume(delivered: Delivered): void {
    this.#postponed.get(delivered)?.cancel();
    this.#postponed.delete(delivered);
    this.#waiting.add(delivered);
    this.#send();
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
    const { clock, counters, telemetry } = this.#options;
    const { chunk, lastError } = delivered;
    delivered.sentOn.add(connection);
    delivered.sentAt = clock.now();
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

  #settle(delivered: Delivered, givenUp: boolean): void {
    const { chunk, owner, sentOn } = delivered;
    this.#chunks.delete(chunk.id);
    this.#unqueue(delivered);
    owner.chunks.delete(delivered);
    for (const connection of sentOn) connection.forget(chunk, givenUp);
    chunk.release();
  }

  #unqueue(delivered: Delivered): void {
    this.#options.compressor?.cancel(delivered.chunk);
    this.#waiting.delete(delivered);
    this.#again.delete(delivered);
    this.#postponed.get(delivered)?.cancel();
    this.#postponed.delete(delivered);
  }

  /** Gives exports up, whatever of them is still under way. */
  #giveUp(owners: readonly Export[], code: LateCode): void {
    // First of all, so that no connection that comes free takes one of their chunks.
    for (const owner of owners) for (const delivered of owner.chunks) this.#unqueue(delivered);
    for (const owner of owners) this.#fail(owner, code);
    this.#send();
  }

  #fail(owner: Export, code: LateCode): void {
    let refused: Chunk | undefined;
    let cause: FluentForwardConnectionError | undefined;
    const failed = new Tally();
    const left = [...owner.chunks];
    for (const delivered of left) {
      failed.add(volumeOf(delivered.chunk));
      if (code === 'FLUENT_FORWARD_TIMEOUT' && this.#isProbablyRefused(delivered)) refused ??= delivered.chunk;
      cause ??= delivered.lastError;
      this.#settle(delivered, true);
    }
    cause ??= this.#pool.lastError;
    const { acknowledgedRecords } = owner;
    const why: FailureReason =
      refused === undefined ? { code } : { code: 'FLUENT_FORWARD_CHUNK_REFUSED', chunk: refused };
    this.#finish(owner, { kind: 'failed', acknowledgedRecords, failed, cause, ...why });
    for (const { chunk, lastError } of left) this.#options.telemetry.failed(chunk, why.code, lastError);
  }

  /** It ended unanswered on several connections, or by its deadline on one that had the time to answer. */
  #isProbablyRefused({ unanswered, sentOn, sentAt }: Delivered): boolean {
    if (unanswered >= PROBABLY_REFUSED) return true;
    const { clock, config } = this.#options;
    const enoughMillis = Math.min(config.ackTimeoutMillis, config.timeoutMillis / 2);
    return (
      sentAt !== undefined && clock.now() - sentAt >= enoughMillis && [...sentOn].some(({ state }) => state === 'open')
    );
  }

  #finish(owner: Export, outcome: Outcome): void {
    owner.deadline.cancel();
    this.#exports.delete(owner);
    this.#inFlightBytes -= countedBytes(owner);
    // The application's callback may export again; it must not find this half done.
    nextTick(() => {
      owner.done(outcome);
      for (const flush of this.#flushes) {
        flush.exports.delete(owner);
        if (flush.exports.size > 0) continue;
        this.#flushes.delete(flush);
        flush.resolve();
      }
    });
  }

  /** A budget by which exports still wait, or that has just been used up, is everybody's. */
  #startFlushBudget(): void {
    this.#flushedAt = this.#options.clock.now();
    const isRunning = this.#flushTimer !== undefined && [...this.#exports].some(({ isFlushed }) => isFlushed);
    if (isRunning || this.isFlushSpent) return;
    this.#endFlushBudget();
    this.#renewFlushBudget();
  }

  /** An ack: the receiver works, and who still waits has the whole time again. */
  #restartFlushBudget(): void {
    this.#endFlushBudget();
    if (this.#flushes.size > 0) this.#renewFlushBudget();
  }

  #endFlushBudget(): void {
    this.#flushTimer?.cancel();
    this.#flushTimer = undefined;
    this.#flushSpentAt = Number.NEGATIVE_INFINITY;
  }

  #renewFlushBudget(): void {
    const { clock, config } = this.#options;
    const timer = clock.after(config.flushTimeoutMillis, () =>
      clock.afterReads(() => {
        // An ack may have come in the meantime.
        if (this.#flushTimer !== timer) return;
        this.#flushTimer = undefined;
        const flushed = [...this.#exports].filter(({ isFlushed }) => isFlushed);
        if (flushed.length > 0) this.#flushSpentAt = clock.now();
        this.#giveUp(flushed, 'FLUENT_FORWARD_FLUSH_TIMEOUT');
      }),
    );
    this.#flushTimer = timer;
  }
}

function countedBytes({ heldBytes }: Export): number {
  return Math.max(MIN_EXPORT_BYTES, heldBytes);
}

function volumeOf({ records, bytes, rawBytes }: Chunk): Volume {
  return { records, bytes: bytes.length, rawBytes };
}

/** What is known of a chunk that receivers take and do not acknowledge. */
export function describeRefusal({ bytes, compression, records, tag }: Chunk): string {
  const size = `${bytes.length} bytes${compression === undefined ? '' : ` (${compression.rawBytes} before ${compression.name})`}`;
  const doubt = compression?.name === 'zstd' ? 'zstd, which Fluentd before 1.19 and Fluent Bit before 4.1 lack; ' : '';
  return (
    `a chunk of ${size} (${records} record(s), tag ${JSON.stringify(tag)}) reaches receivers and is not acknowledged; ` +
    `where others get through they probably refuse it: ${doubt}compare chunk_size_limit (Fluentd) and buffer_max_size ` +
    '(Fluent Bit) with maxChunkBytes; else look at the receivers: are their buffers full, do they run at all?'
  );
}
