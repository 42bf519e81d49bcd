import { nextTick, systemClock } from '../clock.ts';
import type { Diagnostics } from '../diagnostics.ts';
import type { FluentForwardLogExporter } from '../exporter.ts';
import type { SerialFlushProcessor } from './serial-flush-processor.ts';

/** Listeners of `beforeExit` that log each time would else never let the process end. */
const MAX_FLUSHES = 10;

const SIGNALS = ['SIGTERM', 'SIGINT'] as const;

/** What there is to end with the process. */
export interface Exiting {
  readonly processor: SerialFlushProcessor;
  readonly exporter: FluentForwardLogExporter;
  readonly diagnostics: Diagnostics;
}

/** Sends what the processor holds before the process ends, and lets it end as it would without this. */
export function flushAtExit(exiting: Exiting): void {
  flushBeforeExit(exiting);
  flushOnSignals(exiting);
}

/** Flushes when the process has nothing left to do, and again when what other listeners began then has logged more. */
function flushBeforeExit(exiting: Exiting): void {
  const { processor } = exiting;
  let flushes = 0;
  /** What listeners logged once more as a flush made the event come again: without this it would have come once. */
  let repeated = 0;
  process.prependListener('beforeExit', () => {
    const { emitted } = processor;
    const isNothingNew = flushes > 0 && emitted === processor.emittedBeforeFlush + repeated;
    if (isNothingNew || flushes === MAX_FLUSHES) {
      nextTick(() => {
        repeated += processor.emitted - emitted;
      });
      return;
    }
    flushes++;
    repeated = 0;
    // In a turn of its own, after which the event comes again, whatever there is to flush.
    systemClock.afterReads(() => void processor.forceFlush());
  });
  process.on('exit', () => end(exiting, processor.emitted - repeated));
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
    // Begins in a later microtask, so that what the other listeners log is sent too.
    await processor.forceFlush();
    if (isAlone) {
      // What was logged meanwhile is sent too.
      await processor.forceFlush();
      // Process 1 of a container lives on, and so does one that listens by now.
      if (process.pid !== 1 && process.listenerCount(signal) === 0) end(exiting, processor.emitted);
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
    nextTick(() => gone.delete(event));
  });
  return (signal) => process.listenerCount(signal) > 1 || gone.has(signal);
}

/**
 * Reports how many of the `emitted` records have no ack. Closes the connections, because Fluentd logs a warning if TLS is
 * cut off.
 */
function end({ processor, exporter, diagnostics }: Exiting, emitted: number): void {
  const report = (message: string) => diagnostics.error(`${exporter.endpoint}: ${message}`);
  const unacknowledged = emitted - settledRecords(exporter);
  if (unacknowledged > 0) {
    report(
      `${unacknowledged} log record(s) were not acknowledged when the process ended: it did not wait for them (process.exit(), ` +
        'an uncaught error), or they came while it ended, or the queue of the processor was full (OTEL_BLRP_MAX_QUEUE_SIZE)',
    );
  }
  processor.end(() => report('a log record came after the end of exporting; it is lost, as those after it are'));
  void exporter.shutdown();
}

/** The records that the exporter has acknowledged, or has reported as lost or left out. */
function settledRecords(exporter: FluentForwardLogExporter): number {
  const { acknowledged, failed, droppedRecords, filteredRecords } = exporter.stats();
  const lost = Object.values(failed).reduce((sum, { records }) => sum + records, droppedRecords);
  return acknowledged.records + lost + filteredRecords;
}
