import type { Meter } from '@opentelemetry/api';
import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import { inCleanContext } from '../clean-context.ts';
import type { Clock } from '../clock.ts';
import type { Config } from '../config/config.ts';
import type { ConnectionPool } from '../connection/pool.ts';
import type { Exports } from '../delivery/exports.ts';
import type { Flusher } from '../delivery/flush.ts';
import type { FlushTimeout, Outcome } from '../delivery/outcome.ts';
import type { BatchEncoder, EncodedBatch } from '../encode/batch.ts';
import type { Chunk } from '../encode/chunk.ts';
import type { FluentForwardConnectionError } from '../errors.ts';
import type { Counters, FluentForwardStats } from '../stats.ts';
import { Metrics, meterOf } from '../telemetry/metrics.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';
import type { MemoryBound } from './memory.ts';
import type { Stages } from './stages.ts';

export interface PipelineParts {
  /** `otel.component.name` in metrics, and `exporter` in the messages of the diagnostics channels. */
  readonly name: string;
  /** The configured endpoints, with commas between them. */
  readonly endpoint: string;
  readonly config: Config;
  readonly clock: Clock;
  readonly counters: Counters;
  readonly telemetry: Telemetry;
  readonly warn: (cause: string, message: string) => void;
  readonly encoder: BatchEncoder;
  readonly memory: MemoryBound;
  readonly stages: Stages;
  readonly pool: ConnectionPool;
  readonly running: Exports;
  readonly flusher: Flusher;
}

/** Why records are not taken now. */
export type Refusal =
  | { readonly code: 'FLUENT_FORWARD_SHUT_DOWN' }
  | { readonly code: 'FLUENT_FORWARD_IN_FLIGHT_LIMIT'; readonly usedBytes: number; readonly limitBytes: number }
  | FlushTimeout;

/** The way of records to their acks: encode, compress, send. */
export class Pipeline {
  readonly #parts: PipelineParts;
  /** Set before `#shutdown`, because closing can call application code that exports again. */
  #isShutDown = false;
  #shutdown: Promise<void> | undefined;

  constructor(parts: PipelineParts) {
    this.#parts = parts;
  }

  get name(): string {
    return this.#parts.name;
  }

  get endpoint(): string {
    return this.#parts.endpoint;
  }

  get config(): Config {
    return this.#parts.config;
  }

  get counters(): Counters {
    return this.#parts.counters;
  }

  get metrics(): Metrics | undefined {
    return this.#parts.telemetry.metrics;
  }

  /** The last fault of a connection, while there has been no ack since. */
  get lastError(): FluentForwardConnectionError | undefined {
    return this.#parts.pool.lastError;
  }

  /** Why records are not taken now. Undefined if they are. */
  get refusal(): Refusal | undefined {
    const { flusher, memory } = this.#parts;
    if (this.#isShutDown) return { code: 'FLUENT_FORWARD_SHUT_DOWN' };
    const { isReached, usedBytes, limitBytes } = memory;
    if (isReached) return { code: 'FLUENT_FORWARD_IN_FLIGHT_LIMIT', usedBytes, limitBytes };
    return flusher.timeout;
  }

  /** Encodes a batch, and counts and reports what is left out. */
  encode(records: readonly ReadableLogRecord[]): EncodedBatch {
    const { clock, counters, encoder } = this.#parts;
    const batch = encoder.encode(records, clock.wallTime());
    if (batch.dropped > 0) this.#reportDropped(batch, records.length);
    counters.filteredRecords += batch.filtered;
    return batch;
  }

  #reportDropped({ dropped, oversize, dropCause, dropReason }: EncodedBatch, records: number): void {
    const { counters, warn } = this.#parts;
    counters.droppedRecords += dropped;
    counters.oversizeRecords += oversize;
    warn(`dropped as ${dropCause}`, `dropped ${dropped} of ${records} log records: ${dropReason}`);
  }

  /** Sends the chunks of one export. Calls `done` once, in a later turn. */
  send(chunks: readonly Chunk[], done: (outcome: Outcome) => void): void {
    inCleanContext(() => this.#parts.running.begin(chunks, done));
  }

  /** Resolves when the exports in flight have their results, which is after 25 s at the latest. */
  flush(): Promise<void> {
    return inCleanContext(() => this.#parts.flusher.flush());
  }

  /** Takes no more records, flushes, and closes the connections. */
  shutdown(): Promise<void> {
    this.#isShutDown = true;
    this.#shutdown ??= this.#flushAndClose();
    return this.#shutdown;
  }

  async #flushAndClose(): Promise<void> {
    const { running, stages } = this.#parts;
    // Without exports in flight it closes at once, because there is no later turn at the end of a process.
    if (running.inFlight.size > 0) await this.flush();
    inCleanContext(() => stages.close());
    this.metrics?.close();
  }

  stats(): FluentForwardStats {
    const { counters, memory, pool } = this.#parts;
    const { connectionStats: connections, addressStats: addresses } = pool;
    return { ...counters.snapshot, inFlightBytes: memory.usedBytes, connections, addresses };
  }

  warn(cause: string, message: string): void {
    this.#parts.warn(cause, message);
  }

  /**
   * Starts the metrics if they are wanted and there is a meter. To be called again until there is one, because the
   * application may set the API's global provider at any time.
   */
  startMetrics(): void {
    const { config, telemetry, warn } = this.#parts;
    const { selfObsMeterProvider: provider } = config;
    if (provider === undefined || this.metrics !== undefined || this.#isShutDown) return;
    telemetry.startMetrics(() => {
      const meter = meterOf(provider);
      return meter && this.#createMetrics(meter);
    }, warn);
  }

  #createMetrics(meter: Meter): Metrics {
    const { clock, config, counters, memory, name, pool, warn } = this.#parts;
    return new Metrics({
      meter,
      name,
      endpoints: config.endpoint,
      clock,
      counters,
      state: () => ({ inFlightBytes: memory.usedBytes, connections: pool.connectionStats }),
      warn,
    });
  }
}
