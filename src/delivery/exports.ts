import { type Clock, nextTick } from '../clock.ts';
import type { ConnectionPool } from '../connection/pool.ts';
import type { Chunk } from '../encode/chunk.ts';
import type { FluentForwardConnectionError } from '../errors.ts';
import { type Counters, Tally } from '../stats.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';
import type { CarriedChunk, Carrier } from './carrier.ts';
import type { ChunkInTransit, TransitFault } from './chunk-in-transit.ts';
import { Deadline } from './deadline.ts';
import type { Flushable } from './flush.ts';
import type { ExportTimeout, FailureReason, FlushTimeout, Outcome } from './outcome.ts';
import { describeRefusal } from './unacknowledged.ts';

export interface ExportsOptions {
  readonly carrier: Carrier;
  readonly pool: Pick<ConnectionPool, 'lastError'>;
  readonly clock: Clock;
  readonly counters: Counters;
  readonly telemetry: Telemetry;
  readonly warn: (cause: string, message: string) => void;
  readonly timeoutMillis: number;
  /** How long it may take to dial once and to send one chunk. */
  readonly roundMillis: number;
}

/** Chunks that succeed or fail together. */
export interface Export {
  /** The chunks that are not settled. */
  readonly chunks: Set<CarriedChunk>;
  readonly deadline: Deadline;
  readonly done: (outcome: Outcome) => void;
  acknowledgedRecords: number;
}

/** The exports in flight. Each is a group of chunks with a deadline and one result. */
export class Exports implements Flushable<Export> {
  readonly #options: ExportsOptions;
  readonly #inFlight = new Set<Export>();
  readonly #listeners = new Set<(ended: Export) => void>();

  constructor(options: ExportsOptions) {
    this.#options = options;
  }

  get inFlight(): ReadonlySet<Export> {
    return this.#inFlight;
  }

  /** Sends the chunks of one export. Calls `done` once, in a later turn. */
  begin(chunks: readonly Chunk[], done: (outcome: Outcome) => void): void {
    const begun: Export = {
      chunks: new Set(),
      deadline: this.#startDeadline(() => this.giveUp([begun], { code: 'FLUENT_FORWARD_TIMEOUT' })),
      done,
      acknowledgedRecords: 0,
    };
    this.#inFlight.add(begun);
    this.#options.carrier.change(() => {
      for (const chunk of chunks) this.#carry(chunk, begun);
    });
  }

  /** Fails exports of which some chunks are not acknowledged. */
  giveUp(late: readonly Export[], timeout: ExportTimeout | FlushTimeout): void {
    this.#options.carrier.change(() => {
      for (const each of late) this.#fail(each, timeout);
    });
  }

  /** Calls `listener` when the result of an export has been handed over. */
  onEnded(listener: (ended: Export) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  flushTimedOut(late: readonly Export[], timeout: FlushTimeout): 'failed' {
    this.giveUp(late, timeout);
    return 'failed';
  }

  /** The chunks that are not settled. */
  get chunks(): readonly CarriedChunk[] {
    return [...this.#inFlight].flatMap(({ chunks }) => [...chunks]);
  }

  /** The process ends: chunks are acknowledged, or they are lost. No export gets a result. Returns the lost records. */
  settle(isAcknowledged: (chunkId: string) => boolean): number {
    const { carrier, counters, telemetry } = this.#options;
    const lost: (() => void)[] = [];
    let records = 0;
    const settle = (carried: CarriedChunk) => {
      const { chunk, transit } = carried;
      if (isAcknowledged(chunk.id)) counters.acknowledge(chunk.volume);
      else {
        const error = transit?.lastFault?.error;
        records += chunk.records;
        counters.heldRecords -= chunk.records;
        counters.failed('FLUENT_FORWARD_PROCESS_END', chunk.volume);
        lost.push(() => telemetry.failed(chunk, 'FLUENT_FORWARD_PROCESS_END', error));
      }
      carried.giveUp();
    };
    carrier.change(() => {
      for (const { chunks } of this.#inFlight) {
        for (const carried of chunks) settle(carried);
        chunks.clear();
      }
    });
    for (const report of lost) report();
    return records;
  }

  #startDeadline(onDue: () => void): Deadline {
    const { clock, roundMillis, timeoutMillis } = this.#options;
    const dueAt = clock.now() + timeoutMillis;
    return new Deadline({
      clock,
      dueAt: () => dueAt,
      roundMillis: Math.min(timeoutMillis, roundMillis),
      // The only timer that keeps the process alive. It does so as long as records wait for their acks.
      keepAlive: true,
      onDue,
    });
  }

  #carry(chunk: Chunk, begun: Export): void {
    const { chunks } = begun;
    this.#options.counters.heldRecords += chunk.records;
    const carried = this.#options.carrier.carry(chunk, {
      acknowledged: () => {
        chunks.delete(carried);
        begun.acknowledgedRecords += chunk.records;
        if (chunks.size === 0) this.#end(begun, { kind: 'acknowledged' });
      },
      refused: (sent) => this.#options.warn('refused', `${describeRefusal(sent)}; trying on until the deadline`),
    });
    chunks.add(carried);
  }

  #fail(late: Export, timeout: ExportTimeout | FlushTimeout): void {
    const { counters, telemetry } = this.#options;
    const left = [...late.chunks];
    const errors = left.map(({ transit }) => transit?.lastFault?.error);
    const cause = this.#lastError(left);
    const reason = whyFailed(left, timeout, cause);
    const failed = new Tally();
    for (const carried of left) {
      failed.add(carried.chunk.volume);
      carried.giveUp();
    }
    const { acknowledgedRecords } = late;
    counters.heldRecords -= failed.records;
    this.#end(late, { kind: 'failed', acknowledgedRecords, failed, cause, ...reason });
    for (const [i, { chunk }] of left.entries()) telemetry.failed(chunk, reason.code, errors[i]);
  }

  /**
   * Returns the fault to report as the cause. If a chunk waits for a connection, that is the last fault of any
   * connection; otherwise it is the last fault of these chunks.
   */
  #lastError(left: readonly CarriedChunk[]): FluentForwardConnectionError | undefined {
    const { lastError } = this.#options.pool;
    const ofChunks = latestFault(left)?.error;
    const isWaiting = left.some(({ transit }) => transit?.connection === undefined);
    return isWaiting ? (lastError ?? ofChunks) : (ofChunks ?? lastError);
  }

  #end(ended: Export, outcome: Outcome): void {
    ended.deadline.cancel();
    this.#inFlight.delete(ended);
    // The application's callback may export again, and must not find this half done.
    nextTick(() => {
      try {
        ended.done(outcome);
      } finally {
        for (const listener of this.#listeners) listener(ended);
      }
    });
  }
}

function whyFailed(
  left: readonly CarriedChunk[],
  timeout: ExportTimeout | FlushTimeout,
  cause: FluentForwardConnectionError | undefined,
): FailureReason {
  if (timeout.code === 'FLUENT_FORWARD_FLUSH_TIMEOUT') return timeout;
  const refused = left.find(({ transit }) => transit?.doubt.isLikely);
  if (refused !== undefined) return { code: 'FLUENT_FORWARD_CHUNK_REFUSED', chunk: refused.chunk };
  const taken = left.find(({ transit }) => transit !== undefined && isTaken(transit, cause));
  return taken === undefined ? timeout : { ...timeout, chunk: taken.chunk };
}

function latestFault(left: readonly CarriedChunk[]): TransitFault | undefined {
  let latest: TransitFault | undefined;
  for (const { transit } of left) {
    const fault = transit?.lastFault;
    if (fault !== undefined && (latest === undefined || fault.at > latest.at)) latest = fault;
  }
  return latest;
}

/** Whether a receiver has taken the chunk without acknowledging it, and no later fault explains why. */
function isTaken(
  { chunk, connection, doubt, lastFault }: ChunkInTransit,
  cause: FluentForwardConnectionError | undefined,
): boolean {
  return connection?.hasTaken(chunk) || (doubt.tries > 0 && lastFault?.error === cause);
}
