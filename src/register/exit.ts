import { nextTick, systemClock } from '../clock.ts';
import type { Diagnostics } from '../diagnostics.ts';
import type { FluentForwardLogRecordProcessor } from '../processor.ts';

/** Listeners of `beforeExit` that log each time would else never let the process end. */
const MAX_FLUSHES = 10;

const SIGNALS = ['SIGTERM', 'SIGINT'] as const;

/** Reports how many records are left unacknowledged when the process ends. */
type End = (unacknowledged: number) => void;

/** Sends what the processor holds before the process ends, and lets it end as it would without this. */
export function flushAtExit(processor: FluentForwardLogRecordProcessor, diagnostics: Diagnostics): void {
  const end = (unacknowledged: number) => endExporting(processor, diagnostics, unacknowledged);
  flushBeforeExit(processor, end);
  flushOnSignals(processor, end);
}

/** Flushes when the process has nothing left to do, and again when what other listeners began then has logged more. */
function flushBeforeExit(processor: FluentForwardLogRecordProcessor, end: End): void {
  let flushes = 0;
  let emittedBeforeFlush = 0;
  /**
   * Records that listeners of the event logged in a repetition of it. They are neither flushed nor reported as lost,
   * because the event is only repeated after a flush: without one, these records would not exist.
   */
  let repeated = 0;
  process.prependListener('beforeExit', () => {
    const { emitted } = processor.stats();
    const isNothingNew = flushes > 0 && emitted === emittedBeforeFlush + repeated;
    if (isNothingNew || flushes >= MAX_FLUSHES) {
      nextTick(() => {
        repeated += processor.stats().emitted - emitted;
      });
      return;
    }
    flushes++;
    repeated = 0;
    // In a turn of its own, after which the event comes again, whatever there is to flush.
    systemClock.afterReads(async () => {
      emittedBeforeFlush = processor.stats().emitted;
      if (!(await flush(processor))) flushes = MAX_FLUSHES;
    });
  });
  process.on('exit', () => end(processor.stats().held.records - repeated));
}

/** Resolves with whether all that was emitted before is settled. If it is not, another flush would take as long again. */
async function flush(processor: FluentForwardLogRecordProcessor): Promise<boolean> {
  const before = processor.stats();
  await processor.forceFlush();
  const after = processor.stats();
  return after.held.records <= after.emitted - before.emitted;
}

function flushOnSignals(processor: FluentForwardLogRecordProcessor, end: End): void {
  const hasOthers = watchOtherListeners();
  const listen = () => {
    // First, so that a listener for one time is still there to be counted.
    for (const signal of SIGNALS) process.prependListener(signal, onSignal);
  };
  const onSignal = async (signal: NodeJS.Signals) => {
    const isAlone = !hasOthers(signal);
    // Listeners that look for others find none here, and a second signal ends the process at once.
    for (const each of SIGNALS) process.off(each, onSignal);
    // In a later microtask, so that what the other listeners log is sent too.
    await Promise.resolve();
    const isSettled = await flush(processor);
    if (isAlone) {
      // What was logged meanwhile is sent too.
      if (isSettled) await flush(processor);
      // Process 1 of a container lives on, and so does one that listens by now.
      if (process.pid !== 1 && process.listenerCount(signal) === 0) end(processor.stats().held.records);
      process.kill(process.pid, signal);
    }
    listen();
  };
  listen();
}

/** Returns a function that says, in a signal's event, whether there are other listeners than the one that asks. */
function watchOtherListeners(): (signal: NodeJS.Signals) => boolean {
  // One for one time that was put before is gone already when it is asked for.
  const gone = new Set<string | symbol>();
  process.on('removeListener', (event) => {
    gone.add(event);
    nextTick(() => gone.delete(event));
  });
  return (signal) => process.listenerCount(signal) > 1 || gone.has(signal);
}

/** Closes the connections, because Fluentd logs a warning if TLS is cut off. The processor reports later records. */
function endExporting(
  processor: FluentForwardLogRecordProcessor,
  diagnostics: Diagnostics,
  unacknowledged: number,
): void {
  if (unacknowledged > 0) {
    diagnostics.error(
      `${processor.endpoint}: ${unacknowledged} log record(s) were not acknowledged when the process ended: it did not ` +
        'wait for them (process.exit(), an uncaught error), or they came while it ended, or the last flush ended before their acks',
    );
  }
  void processor.shutdown();
}
