import timers from 'node:timers';

// Fake timers of tests replace these functions. A dial or an ack that waits for one of them would wait forever, so the
// real ones are kept from the time when this module loads.
const { setTimeout, clearTimeout, setImmediate } = timers;
const now = performance.now.bind(performance);
/** `process.nextTick` as it was when this module loaded. */
export const nextTick: typeof process.nextTick = process.nextTick.bind(process);

/** Seconds and nanoseconds since the Unix epoch, as OpenTelemetry writes them. */
export type WallTime = readonly [seconds: number, nanoseconds: number];

/** A running timer. */
export interface Timer {
  cancel(): void;
}

/**
 * The source of time, which tests replace. `now()` is monotonic and measures durations. `wallTime()` is written into
 * records and statistics.
 */
export interface Clock {
  /** Milliseconds from an arbitrary point; never goes back. */
  now(): number;
  wallTime(): WallTime;
  /** Runs `callback` once after `millis`. Only with `keepAlive` does the timer hold the process. */
  after(millis: number, callback: () => void, keepAlive?: boolean): Timer;
  /**
   * Runs `callback` once what the sockets have already received is read. A timer that is late
   * because the event loop was blocked decides here, so that an ack that came in time wins.
   */
  afterReads(callback: () => void): void;
}

/** Node fires a timer at once when it is set to more. */
const MAX_TIMER_MILLIS = 2 ** 31 - 1;

export const systemClock: Clock = {
  now,
  wallTime: () => {
    const millis = Date.now();
    return [Math.floor(millis / 1000), (millis % 1000) * 1_000_000];
  },
  after: (millis, callback, keepAlive = false) => {
    const timer = setTimeout(callback, Math.min(millis, MAX_TIMER_MILLIS));
    if (!keepAlive) timer.unref();
    return { cancel: () => clearTimeout(timer) };
  },
  afterReads: (callback) => {
    setImmediate(callback);
  },
};
