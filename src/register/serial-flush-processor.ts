import type { LogRecordExporter, LogRecordProcessor } from '@opentelemetry/sdk-logs';

/**
 * Flushes one after the other, and shuts down after them. BatchLogRecordProcessor lets a second flush
 * return before the first has ended, and a shutdown overtake it, after which its exports fail; and it does
 * not wait for an export that took longer than its own time limit.
 */
export class SerialFlushProcessor implements LogRecordProcessor {
  readonly #processor: LogRecordProcessor;
  readonly #exporter: LogRecordExporter;
  #flushed: Promise<void> = Promise.resolve();
  #emitted = 0;
  #emittedBeforeFlush = 0;
  #onLate: (() => void) | undefined;

  constructor(processor: LogRecordProcessor, exporter: LogRecordExporter) {
    this.#processor = processor;
    this.#exporter = exporter;
  }

  /** Records so far, whatever became of them. */
  get emitted(): number {
    return this.#emitted;
  }

  /** Those that a flush has asked for. */
  get emittedBeforeFlush(): number {
    return this.#emittedBeforeFlush;
  }

  onEmit(...emitted: Parameters<LogRecordProcessor['onEmit']>): void {
    this.#emitted++;
    this.#processor.onEmit(...emitted);
    const onLate = this.#onLate;
    // Before the call, which may log.
    this.#onLate = undefined;
    onLate?.();
  }

  /** Begins in a later microtask. */
  forceFlush(): Promise<void> {
    this.#flushed = this.#flushed.then(async () => {
      this.#emittedBeforeFlush = this.#emitted;
      await this.#processor.forceFlush();
      await this.#exporter.forceFlush?.();
    });
    return this.#flushed;
  }

  async shutdown(): Promise<void> {
    await this.forceFlush();
    await this.#processor.shutdown();
  }

  /** What comes from now on is not exported; `onLate` is told of the first such record. */
  end(onLate: () => void): void {
    this.#onLate = onLate;
  }
}
