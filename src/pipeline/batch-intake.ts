import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import { inCleanContext } from '../clean-context.ts';
import type { Clock } from '../clock.ts';
import type { ExporterConfig } from '../config/config.ts';
import type { Export, Exports } from '../delivery/exports.ts';
import type { Flusher } from '../delivery/flush.ts';
import type { FlushTimeout, Outcome } from '../delivery/outcome.ts';
import type { BatchEncoder, EncodedBatch } from '../encode/batch.ts';
import type { Chunk } from '../encode/chunk.ts';
import type { FailureReport } from '../telemetry/failure-report.ts';
import type { EndingIntake } from './ending.ts';
import type { Pipeline, Refusal } from './pipeline.ts';

export interface BatchIntakeParts {
  readonly config: ExporterConfig;
  readonly clock: Clock;
  readonly pipeline: Pipeline;
  readonly encoder: BatchEncoder;
  readonly running: Exports;
  readonly flusher: Flusher<Export>;
  readonly failures: FailureReport;
}

/** Takes batches of records. The chunks of a batch have one deadline and one result. */
export class BatchIntake implements EndingIntake {
  readonly #parts: BatchIntakeParts;

  constructor(parts: BatchIntakeParts) {
    this.#parts = parts;
  }

  get pipeline(): Pipeline {
    return this.#parts.pipeline;
  }

  get config(): ExporterConfig {
    return this.#parts.config;
  }

  get failures(): FailureReport {
    return this.#parts.failures;
  }

  /** Why a batch is not taken now. Undefined if it is. */
  get refusal(): Refusal | FlushTimeout | undefined {
    return this.pipeline.refusal ?? this.#parts.flusher.timeout;
  }

  /** Encodes a batch, and counts and reports what is left out. */
  encode(records: readonly ReadableLogRecord[]): EncodedBatch {
    const { clock, encoder } = this.#parts;
    const batch = encoder.encode(records, clock.wallTime());
    if (batch.dropped > 0) this.#reportDropped(batch, records.length);
    this.pipeline.counters.filteredRecords += batch.filtered;
    return batch;
  }

  #reportDropped({ dropped, oversize, dropCause, dropReason }: EncodedBatch, records: number): void {
    const { counters } = this.pipeline;
    counters.droppedRecords += dropped;
    counters.oversizeRecords += oversize;
    this.pipeline.warn(`dropped as ${dropCause}`, `dropped ${dropped} of ${records} log records: ${dropReason}`);
  }

  /** Sends the chunks of one export. Calls `done` once, in a later turn. */
  send(chunks: readonly Chunk[], done: (outcome: Outcome) => void): void {
    inCleanContext(() => this.#parts.running.begin(chunks, done));
    this.pipeline.handOverAtEnd();
  }

  left(): readonly Chunk[] {
    return this.#parts.running.chunks.map(({ chunk }) => chunk);
  }

  settle(isAcknowledged: (chunkId: string) => boolean): number {
    return this.#parts.running.settle(isAcknowledged);
  }

  /** Resolves when the exports in flight have their results, which is after 25 s at the latest. */
  flush(): Promise<void> {
    return inCleanContext(() => this.#parts.flusher.flush());
  }

  /** Takes no more batches, flushes, reports what failed, and closes the connections. */
  shutdown(): Promise<void> {
    return this.pipeline.shutdown(() => {
      if (this.#parts.running.inFlight.size > 0) return this.flush().then(() => this.failures.close());
      this.failures.close();
      return undefined;
    });
  }
}
