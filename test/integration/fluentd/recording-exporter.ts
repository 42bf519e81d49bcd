import { EventEmitter, once } from 'node:events';
import type { LogRecordExporter, ReadableLogRecord } from '@opentelemetry/sdk-logs';

type ResultCallback = Parameters<LogRecordExporter['export']>[1];

/** Hands every call on to an exporter, and remembers what was exported and how it ended. */
export class RecordingExporter implements LogRecordExporter {
  /** Called with each batch before the exporter has it. */
  onExport: (records: readonly ReadableLogRecord[]) => void = () => {};
  exports = 0;
  records = 0;
  /** The records of the exports that succeeded. */
  readonly acknowledged: ReadableLogRecord[] = [];
  readonly failures: unknown[] = [];
  /** How long the slowest of the exports that succeeded took. */
  slowestMillis = 0;
  /** The batches whose results are not known yet. */
  readonly pending = new Set<readonly ReadableLogRecord[]>();
  readonly #exporter: LogRecordExporter;
  readonly #events = new EventEmitter();

  constructor(exporter: LogRecordExporter) {
    this.#exporter = exporter;
  }

  /** The records whose results are known. */
  get settledRecords(): number {
    return this.records - this.pendingRecords;
  }

  get pendingRecords(): number {
    let records = 0;
    for (const batch of this.pending) records += batch.length;
    return records;
  }

  export(records: ReadableLogRecord[], resultCallback: ResultCallback): void {
    this.exports++;
    this.records += records.length;
    this.pending.add(records);
    this.onExport(records);
    const startedAt = performance.now();
    this.#exporter.export(records, (result) => {
      if (result.code === 0) {
        this.acknowledged.push(...records);
        this.slowestMillis = Math.max(this.slowestMillis, performance.now() - startedAt);
      } else {
        this.failures.push(result.error ?? 'no error given');
      }
      this.pending.delete(records);
      resultCallback(result);
      this.#events.emit('change');
    });
    this.#events.emit('change');
  }

  forceFlush(): Promise<void> {
    return this.#exporter.forceFlush();
  }

  shutdown(): Promise<void> {
    return this.#exporter.shutdown();
  }

  /** Waits until `condition` holds; it is looked at whenever an export begins or ends. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await once(this.#events, 'change');
  }
}
