import type { LogRecordProcessor } from '@opentelemetry/sdk-logs';

/** Notices the first record that comes after the end. What the processor itself reports then may come too late. */
export class LateRecords implements LogRecordProcessor {
  #onFirst: (() => void) | undefined;

  /** Calls `onFirst` for the first record from now on. */
  watch(onFirst: () => void): void {
    this.#onFirst = onFirst;
  }

  onEmit(): void {
    const onFirst = this.#onFirst;
    // Before the call, which may log.
    this.#onFirst = undefined;
    onFirst?.();
  }

  async forceFlush(): Promise<void> {}

  async shutdown(): Promise<void> {}
}
