import type { SerialFlushProcessor } from './serial-flush-processor.ts';

const SIGNALS = ['SIGTERM', 'SIGINT'] as const;

/** What the end of the process asks of the set-up that it ends. */
export interface Exiting {
  readonly processor: SerialFlushProcessor;
  /** Of so many emitted records, those that were neither acknowledged nor told to be lost. */
  readonly unsettledOf: (emitted: number) => number;
  /** Closes what is open, on the spot when nothing is in flight. */
  readonly close: () => void;
  readonly warn: (message: string) => void;
}

/**
 * Sends what the processor holds before the process ends, and lets it end as it would without this.
 * A flush begins in a later microtask, so that what the other listeners log is sent too.
 */
export function flushAtExit(exiting: Exiting): void {
  flushBeforeExit(exiting);
  flushOnSignals(exiting);
}

/** Each flush makes the event come again: with it, what other listeners began has come to its end too. */
function flushBeforeExit(exiting: Exiting): void {
  const { processor, close } = exiting;
  let hasFlushed = false;
  let isOver = false;
  // First, so that a listener that logs each time is no reason to flush once more.
  process.prependListener('beforeExit', () => {
    isOver = hasFlushed && processor.emitted === processor.emittedBeforeFlush;
    if (isOver) return;
    hasFlushed = true;
    void processor.forceFlush();
  });
  process.on('exit', () => {
    // Without the flushes the event would have come once, and what it makes be logged would have been sent.
    tellUnsent(exiting, isOver ? processor.emittedBeforeFlush : processor.emitted);
    close();
  });
}

function flushOnSignals(exiting: Exiting): void {
  const { processor } = exiting;
  const hasOthers = watchOtherListeners();
  const listen = () => {
    // First, so that a listener for one time is still there to be counted.
    for (const signal of SIGNALS) process.prependListener(signal, onSignal);
  };
  const onSignal = async (signal: NodeJS.Signals) => {
    const isAlone = !hasOthers(signal);
    // Listeners that look for others find none here, and a second signal ends the process at once.
    for (const each of SIGNALS) process.off(each, onSignal);
    await processor.forceFlush();
    if (isAlone) {
      // With what was logged meanwhile. A budget for the first flush that is used up ends this one too.
      await processor.forceFlush();
      tellUnsent(exiting, processor.emitted);
      // A TLS connection that is cut off makes Fluentd warn. As process 1 of a container the process lives on.
      if (process.pid !== 1) exiting.close();
      process.kill(process.pid, signal);
    }
    listen();
  };
  listen();
}

/** Tells, in a signal's event, whether it has listeners but the one that asks. */
function watchOtherListeners(): (signal: NodeJS.Signals) => boolean {
  // One for one time that was put before is gone already when it is asked for.
  const gone = new Set<string | symbol>();
  process.on('removeListener', (event) => {
    gone.add(event);
    queueMicrotask(() => gone.delete(event));
  });
  return (signal) => process.listenerCount(signal) > 1 || gone.has(signal);
}

function tellUnsent({ unsettledOf, warn }: Exiting, emitted: number): void {
  const unsent = unsettledOf(emitted);
  if (unsent <= 0) return;
  warn(
    `${unsent} log record(s) were not sent: the process ended without waiting for them, as by process.exit() and ` +
      'uncaught errors, or the queue of the processor was full (OTEL_BLRP_MAX_QUEUE_SIZE)',
  );
}
