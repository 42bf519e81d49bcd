import { nextTick } from '../clock.ts';
import type { FluentForwardLogRecordProcessor } from '../processor.ts';
import { processEnd } from './process-end.ts';

const SIGNALS = ['SIGTERM', 'SIGINT'] as const;

/**
 * Sends what the processors hold when the process gets SIGTERM or SIGINT, within the time of a flush, and then lets the
 * signal do what it would have done: if nobody else listens to it, it ends the process. (Node.js raises no `exit` event
 * then.) A second signal ends the process at once. If the application listens too, it decides when the process ends.
 *
 * `opentelemetry-exporter-fluent-forward/register` does this by itself.
 *
 * @returns a function that removes the listeners.
 *
 * @example
 * const processor = new FluentForwardLogRecordProcessor();
 * flushOnSignals(processor);
 */
export function flushOnSignals(...processors: readonly FluentForwardLogRecordProcessor[]): () => void {
  const others = new OtherListeners();
  let isRemoved = false;
  const listen = () => {
    // First, so that a listener for one time is still there to be counted.
    for (const signal of SIGNALS) process.prependListener(signal, onSignal);
  };
  const stopListening = () => {
    for (const signal of SIGNALS) process.off(signal, onSignal);
  };
  const onSignal = async (signal: NodeJS.Signals) => {
    const isAlone = !others.hasAny(signal);
    // Listeners that look for others find none here, and a second signal ends the process at once.
    stopListening();
    // In a later microtask, so that what the other listeners log is sent too.
    await Promise.resolve();
    const isSettled = await flushAll(processors);
    if (isAlone) {
      // What was logged meanwhile is sent too.
      if (isSettled) await flushAll(processors);
      // Process 1 of a container lives on, and so does one that listens by now.
      if (process.pid !== 1 && process.listenerCount(signal) === 0) processEnd().end();
      process.kill(process.pid, signal);
    }
    if (!isRemoved) listen();
  };
  listen();
  return () => {
    isRemoved = true;
    stopListening();
    others.close();
  };
}

/** Flushes all at once. Resolves with whether all that was emitted before is settled. */
async function flushAll(processors: readonly FluentForwardLogRecordProcessor[]): Promise<boolean> {
  const flushed = processors.map(async (processor) => {
    const before = processor.stats();
    await processor.forceFlush();
    const after = processor.stats();
    return after.held.records <= after.emitted - before.emitted;
  });
  return (await Promise.all(flushed)).every((isSettled) => isSettled);
}

/** Knows, in a signal's event, whether there are other listeners than the one that asks. */
class OtherListeners {
  /** Listeners for one time that were put before are gone already when somebody asks. */
  readonly #gone = new Set<string | symbol>();

  constructor() {
    process.on('removeListener', this.#onRemoved);
  }

  hasAny(signal: NodeJS.Signals): boolean {
    return process.listenerCount(signal) > 1 || this.#gone.has(signal);
  }

  close(): void {
    process.off('removeListener', this.#onRemoved);
  }

  readonly #onRemoved = (event: string | symbol) => {
    this.#gone.add(event);
    nextTick(() => this.#gone.delete(event));
  };
}
