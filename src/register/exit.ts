import type { SerialFlushProcessor } from './serial-flush-processor.ts';

const SIGNALS = ['SIGTERM', 'SIGINT'] as const;

/**
 * Sends what the processor holds before the process ends, and lets it end as it would without this.
 * A flush begins in a later microtask, so that what the other listeners log is sent too.
 */
export function flushAtExit(processor: SerialFlushProcessor): void {
  process.once('beforeExit', () => void processor.shutdown());
  flushOnSignals(processor);
}

function flushOnSignals(processor: SerialFlushProcessor): void {
  const onSignal = async (signal: NodeJS.Signals) => {
    const isAlone = process.listenerCount(signal) === 1;
    // Listeners that look for others find none here, and a second signal ends the process at once.
    for (const each of SIGNALS) process.off(each, onSignal);
    await processor.forceFlush();
    if (isAlone) process.kill(process.pid, signal);
    // The process lives on where another listener decides that, or as process 1 of a container.
    flushOnSignals(processor);
  };
  // First, so that a listener for one time is still there to be counted.
  for (const signal of SIGNALS) process.prependListener(signal, onSignal);
}
