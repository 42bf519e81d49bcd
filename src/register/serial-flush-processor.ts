import type { LogRecordExporter, LogRecordProcessor } from '@opentelemetry/sdk-logs';

/**
 * Flushes one after the other, and shuts down after them. BatchLogRecordProcessor lets a second flush
 * return before the first has ended, and a shutdown overtake it, after which its exports fail; and it does
 * not wait for an export that took longer than its own time limit.
 */
export class SerialFlushProcessor implements LogRecordProcessor {
  readonly #processor: LogRecordProcessor;
  readonly #exporter: LogRecordExporter;
  readonly #flushFailed: (error: unknown) => void;
  #flushed: Promise<void> = Promise.resolve();
  #emitted = 0;
  #emittedBeforeFlush = 0;
  #onLate: (() => void) | undefined;

  /** `flushFailed` is called with what a flush throws. */
  constructor(processor: LogRecordProcessor, exporter: LogRecordExporter, flushFailed: (error: unknown) => void) {
    this.#processor = processor;
    this.#exporter = exporter;
    this.#flushFailed = flushFailed;
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

  /** Begins in a later microtask. Never rejects, because the flushes after it and the end of the process wait for it. */
  forceFlush(): Promise<void> {
    this.#flushed = this.#flushed.then(() => this.#flush());
    return this.#flushed;
  }

  async #flush(): Promise<void> {
    this.#emittedBeforeFlush = this.#emitted;
    for (const each of [this.#processor, this.#exporter]) {
      try {
        await each.forceFlush?.();
      } catch (error) {
        this.#flushFailed(error);
      }
    }
  }

  async shutdown(): Promise<void> {
    await this.forceFlush();
    try {
      await this.#processor.shutdown();
    } finally {
      // A processor that fails may not have done it.
      await this.#exporter.shutdown();
    }
  }

  /** Later records are not exported. `onLate` is called for the first of them. */
  end(onLate: () => void): void {
    this.#onLate = onLate;
  }
}
