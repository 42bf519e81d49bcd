import { type Clock, systemClock, type Timer } from '../../src/clock.ts';

/**
 * The system's clock, which can be put forward: a test sets limits that a busy machine does not reach, and does not
 * have to wait for them.
 */
export class RealClock implements Clock {
  readonly wallTime = systemClock.wallTime;
  readonly afterReads = systemClock.afterReads;
  readonly #running = new Set<RealTimer>();
  #ahead = 0;

  now(): number {
    return systemClock.now() + this.#ahead;
  }

  /** How many timers are running. */
  get timers(): number {
    return this.#running.size;
  }

  after(millis: number, callback: () => void, keepAlive?: boolean): Timer {
    const due = this.now() + millis;
    const start = () => {
      const left = Math.max(0, due - this.now());
      return systemClock.after(
        left,
        () => {
          this.#running.delete(timer);
          callback();
        },
        keepAlive,
      );
    };
    const timer: RealTimer = { running: start(), start };
    this.#running.add(timer);
    return {
      cancel: () => {
        this.#running.delete(timer);
        timer.running.cancel();
      },
    };
  }

  /** Timers that become due by this fire in the event loop's next turn. */
  advance(millis: number): void {
    this.#ahead += millis;
    for (const timer of this.#running) {
      timer.running.cancel();
      timer.running = timer.start();
    }
  }
}

interface RealTimer {
  running: Timer;
  readonly start: () => Timer;
}
