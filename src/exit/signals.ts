import { nextTick } from '../clock.ts';
import type { FluentForwardProcessorStats } from '../stats.ts';
import { flushAll, type RecordCounts } from './flush-all.ts';
import { processEnd } from './process-end.ts';
import { processWide } from './process-wide.ts';

/** What is needed of a `FluentForwardLogRecordProcessor`. */
export interface FlushedProcessor {
  forceFlush(): Promise<void>;
  stats(): Pick<FluentForwardProcessorStats, 'emitted' | 'held'>;
}

/**
 * Sends what the processors hold when the process gets SIGTERM or SIGINT, within the time of a flush, and then lets the
 * signal do what it would have done: if nobody else listens to it, it ends the process. (Node.js raises no `exit` event
 * then.) A second signal ends the process at once. If the application listens too, it decides when the process ends.
 *
 * `opentelemetry-exporter-fluent-forward/register` does this by itself.
 *
 * @returns a function that ends this.
 *
 * @example
 * const processor = new FluentForwardLogRecordProcessor();
 * flushOnSignals(processor);
 */
export function flushOnSignals(...processors: readonly FlushedProcessor[]): () => void {
  const flush = processWide('signal-flush.1', () => new SignalFlush());
  flush.add(processors);
  return () => flush.delete(processors);
}

const SIGNALS = ['SIGTERM', 'SIGINT'] as const;

/** One listener for the process: two of them would each take the other one for a listener of the application. */
class SignalFlush {
  readonly #groups = new Set<readonly FlushedProcessor[]>();
  readonly #others = new OtherListeners();

  add(processors: readonly FlushedProcessor[]): void {
    this.#groups.add(processors);
    if (this.#groups.size > 1) return;
    this.#others.watch();
    this.#listen();
  }

  delete(processors: readonly FlushedProcessor[]): void {
    this.#groups.delete(processors);
    if (this.#groups.size > 0) return;
    this.#others.close();
    this.#stopListening();
  }

  #listen(): void {
    // It listens already if it was ended and called again while a flush ran.
    this.#stopListening();
    // First, so that a listener for one time is still there to be counted.
    for (const signal of SIGNALS) process.prependListener(signal, this.#onSignal);
  }

  #stopListening(): void {
    for (const signal of SIGNALS) process.off(signal, this.#onSignal);
  }

  readonly #onSignal = async (signal: NodeJS.Signals): Promise<void> => {
    const isAlone = !this.#others.hasAny(signal);
    // Listeners that look for others find none here, and a second signal ends the process at once.
    this.#stopListening();
    // In a later microtask, so that what the other listeners log is sent too.
    await Promise.resolve();
    const isSettled = await this.#flush();
    if (isAlone) {
      // What was logged meanwhile is sent too.
      if (isSettled) await this.#flush();
      // Process 1 of a container lives on, and so does one that listens by now.
      if (process.pid !== 1 && process.listenerCount(signal) === 0) processEnd().end();
      process.kill(process.pid, signal);
    }
    if (this.#groups.size > 0) this.#listen();
  };

  /** Resolves with whether all that was emitted before is settled. */
  #flush(): Promise<boolean> {
    return flushAll([...this.#groups].flat(), (processor) => processor.forceFlush(), countsOf);
  }
}

function countsOf(processor: FlushedProcessor): RecordCounts {
  const { emitted, held } = processor.stats();
  return { emitted, held: held.records };
}

/** Knows, in a signal's event, whether there are other listeners than the one that asks. */
class OtherListeners {
  /** Listeners for one time that were put before are gone already when somebody asks. */
  readonly #gone = new Set<string | symbol>();

  watch(): void {
    process.on('removeListener', this.#onRemoved);
  }

  close(): void {
    process.off('removeListener', this.#onRemoved);
  }

  hasAny(signal: NodeJS.Signals): boolean {
    return process.listenerCount(signal) > 1 || this.#gone.has(signal);
  }

  readonly #onRemoved = (event: string | symbol): void => {
    this.#gone.add(event);
    nextTick(() => this.#gone.delete(event));
  };
}
