import { type Clock, nextTick } from '../clock.ts';
import type { Compressor } from '../compress/compressor.ts';
import type { Config } from '../config/config.ts';
import { urlsOf } from '../config/endpoint.ts';
import { Credentials } from '../connection/credentials.ts';
import { ConnectionPool } from '../connection/pool.ts';
import type { Diagnostics } from '../diagnostics.ts';
import type { Chunk } from '../encode/chunk.ts';
import { Addresses } from '../endpoint/addresses.ts';
import type { ExportErrorCode, FluentForwardConnectionError } from '../errors.ts';
import type { MemoryBound } from '../pipeline/memory.ts';
import { Stages } from '../pipeline/stages.ts';
import { type AddressStats, type ConnectionStats, type Counters, Tally, type Volume } from '../stats.ts';
import { OutageReport } from '../telemetry/outage-report.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';
import type { CarriedChunk } from './carrier.ts';
import type { ChunkInTransit, TransitFault } from './chunk-in-transit.ts';
import { Deadline } from './deadline.ts';
import { Sender } from './sender.ts';

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
  readonly chunks: Set<CarriedChunk>;
  readonly done: (outcome: Outcome) => void;
  readonly deadline: Deadline;
  acknowledgedRecords: number;
}

/** A `flush()` that waits for the exports that were in flight when it was called. */
interface Flush {
  readonly exports: Set<Export>;
  readonly deadline: Deadline;
  readonly resolve: () => void;
}

/** A flush takes no longer, whatever is acknowledged meanwhile: Kubernetes kills a process 30 s after SIGTERM. */
export const MAX_FLUSH_MILLIS = 25_000;

/** Brings the chunks of each export to their acks, until the export's deadline. */
export class Delivery {
  readonly #options: DeliveryOptions;
  readonly #pool: ConnectionPool;
  readonly #sender: Sender;
  readonly #stages: Stages;
  readonly #exports = new Set<Export>();
  readonly #flushes = new Set<Flush>();
  /**
   * Flushes that were called in this turn. BatchLogRecordProcessor may call one just before `export()`, with nothing but
   * microtasks between.
   */
  readonly #startingFlushes = new Set<Flush>();
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
    const warn = (cause: string, message: string) => diagnostics.warn(cause, `${urlsOf(config.endpoint)}: ${message}`);
    this.#sender = new Sender({ ...options, pool: this.#pool, warn });
    this.#stages = new Stages({ ...options, sender: this.#sender });
  }

  /** Whether no export is in flight. */
  get isIdle(): boolean {
    return this.#exports.size === 0;
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
    this.#stages.change(() => {
      for (const chunk of chunks) this.#carry(chunk, owner);
    });
  }

  #carry(chunk: Chunk, owner: Export): void {
    const carried = this.#stages.carry(chunk, () => {
      owner.chunks.delete(carried);
      owner.acknowledgedRecords += chunk.records;
      if (owner.chunks.size === 0) this.#finish(owner, { kind: 'acknowledged' });
    });
    owner.chunks.add(carried);
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
        if (flush.exports.size > 0) this.#sender.hurry();
        this.#endFlushIfSettled(flush);
      });
    });
  }

  #startFlush(resolve: () => void): Flush {
    const { clock, config } = this.#options;
    const startedAt = clock.now();
    // Not named exports: in CommonJS that is the module's.
    const waitedFor = new Set(this.#exports);
    const withoutAckSince = () => Math.max(startedAt, this.#sender.lastAckAt);
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

  #endFlushIfSettled(flush: Flush): void {
    if (flush.exports.size > 0 || this.#startingFlushes.has(flush)) return;
    this.#flushes.delete(flush);
    flush.deadline.cancel();
    flush.resolve();
  }

  close(): void {
    this.#stages.close();
  }

  /** Gives exports up, whatever of them is still under way. */
  #giveUp(owners: readonly Export[], late: Late): void {
    this.#stages.change(() => {
      for (const owner of owners) this.#fail(owner, late);
    });
  }

  #fail(owner: Export, late: Late): void {
    const left = [...owner.chunks];
    const cause = this.#lastFault(left);
    const why = this.#whyFailed(left, late, cause);
    const failed = new Tally();
    const faults = left.map(({ transit }) => transit?.lastFault?.error);
    for (const carried of left) {
      failed.add(carried.chunk.volume);
      carried.giveUp();
    }
    const { acknowledgedRecords } = owner;
    this.#finish(owner, { kind: 'failed', acknowledgedRecords, failed, cause, ...why });
    for (const [i, { chunk }] of left.entries()) this.#options.telemetry.failed(chunk, why.code, faults[i]);
  }

  /**
   * The most recent fault that concerns the chunks. While one of them waits for a connection, that is the last fault of
   * any connection.
   */
  #lastFault(left: readonly CarriedChunk[]): FluentForwardConnectionError | undefined {
    const { lastError } = this.#pool;
    const latest = latestFault(left);
    const isWaiting = left.some(({ transit }) => transit?.connection === undefined);
    return isWaiting ? (lastError ?? latest) : (latest ?? lastError);
  }

  #whyFailed(
    left: readonly CarriedChunk[],
    late: Late,
    cause: FluentForwardConnectionError | undefined,
  ): FailureReason {
    if (late.code === 'FLUENT_FORWARD_FLUSH_TIMEOUT') return late;
    const refused = left.find(({ transit }) => transit?.doubt.isLikely);
    if (refused !== undefined) return { code: 'FLUENT_FORWARD_CHUNK_REFUSED', chunk: refused.chunk };
    const taken = left.find(({ transit }) => transit !== undefined && isTaken(transit, cause));
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

function latestFault(left: readonly CarriedChunk[]): FluentForwardConnectionError | undefined {
  let latest: TransitFault | undefined;
  for (const { transit } of left) {
    const fault = transit?.lastFault;
    if (fault !== undefined && (latest === undefined || fault.at > latest.at)) latest = fault;
  }
  return latest?.error;
}

/** Whether a receiver has taken the chunk without acknowledging it, and nothing else has gone wrong since. */
function isTaken({ chunk, connection, doubt, lastFault }: ChunkInTransit, cause: Error | undefined): boolean {
  return connection?.hasTaken(chunk) || (doubt.tries > 0 && lastFault?.error === cause);
}
