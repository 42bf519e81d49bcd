import type { LogRecordProcessor } from '@opentelemetry/sdk-logs';

/**
 * Flushes one after the other, and shuts down after them. BatchLogRecordProcessor lets a second flush
 * return before the first has ended, and a shutdown overtake it, after which its exports fail.
 */
export class SerialFlushProcessor implements LogRecordProcessor {
  readonly #processor: LogRecordProcessor;
  #flushed: Promise<void> = Promise.resolve();
  #emitted = 0;
  #emittedBeforeFlush = 0;

  constructor(processor: LogRecordProcessor) {
    this.#processor = processor;
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
  }

  /** Begins in a later microtask. */
  forceFlush(): Promise<void> {
    this.#flushed = this.#flushed.then(() => {
      this.#emittedBeforeFlush = this.#emitted;
      return this.#processor.forceFlush();
    });
    return this.#flushed;
  }

  async shutdown(): Promise<void> {
    await this.forceFlush();
    await this.#processor.shutdown();
  }
}
