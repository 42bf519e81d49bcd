import type { Clock, Timer, WallTime } from '../../src/clock.ts';

/** A clock that stands still until it is told to move. What sockets do takes no time on it. */
export class FakeClock implements Clock {
  wall: WallTime = [1_700_000_000, 0];
  #now = 0;
  readonly #timers = new Set<{ at: number; callback: () => void }>();

  now(): number {
    return this.#now;
  }

  wallTime(): WallTime {
    return this.wall;
  }

  after(millis: number, callback: () => void): Timer {
    const timer = { at: Math.round(this.#now + millis), callback };
    this.#timers.add(timer);
    return { cancel: () => this.#timers.delete(timer) };
  }

  afterReads(callback: () => void): void {
    setImmediate(callback);
  }

  /** How many timers are running. */
  get timers(): number {
    return this.#timers.size;
  }

  /** Moves on, running what becomes due in its order, and lets real sockets do their part after each timer. */
  async advance(millis: number): Promise<void> {
    const end = this.#now + millis;
    for (;;) {
      const next = [...this.#timers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
      if (next === undefined) break;
      this.#timers.delete(next);
      this.#now = Math.max(this.#now, next.at);
      next.callback();
      await settle();
    }
    this.#now = end;
    await settle();
  }
}

/** Lets the event loop go round a few times: loopback sockets deliver within that. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await new Promise((done) => setImmediate(done));
}

/** Waits until `condition` holds; the test's own time limit ends it otherwise. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((done) => setTimeout(done, 1));
}
