import type { Clock, Timer, WallTime } from '../../src/clock.ts';

interface FakeTimer {
  readonly at: number;
  readonly callback: () => void;
}

/** A clock that stands still until it is told to move. What sockets do takes no time on it. */
export class FakeClock implements Clock {
  wall: WallTime = [1_700_000_000, 0];
  #now = 0;
  readonly #timers = new Set<FakeTimer>();
  readonly #settle: () => Promise<void>;

  /** After each timer `advance()` waits for `settled`, so that real sockets do their part before the next one. */
  constructor(settled: () => Promise<void> = settle) {
    this.#settle = settled;
  }

  now(): number {
    return this.#now;
  }

  wallTime(): WallTime {
    return this.wall;
  }

  after(millis: number, callback: () => void): Timer {
    // As in Node.js, a timer takes at least a millisecond: what is left of a time must not come round again and again.
    const timer = { at: Math.round(this.#now + (millis > 0 ? Math.max(1, millis) : 0)), callback };
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

  /** Moves on, and runs what becomes due in its order. */
  async advance(millis: number): Promise<void> {
    const end = this.#now + millis;
    // What was begun before comes first, as it does in a process.
    await settle();
    for (;;) {
      const next = this.#next();
      if (next === undefined || next.at > end) break;
      this.#timers.delete(next);
      this.#now = Math.max(this.#now, next.at);
      next.callback();
      await this.#settle();
    }
    this.#now = end;
    await this.#settle();
  }

  /** Moves on as while the process is frozen: what becomes due meanwhile runs late, in its order. */
  async freeze(millis: number): Promise<void> {
    this.#now += millis;
    await this.advance(0);
  }

  /** The first to become due, of several at once the one that was started first. */
  #next(): FakeTimer | undefined {
    let next: FakeTimer | undefined;
    for (const timer of this.#timers) if (next === undefined || timer.at < next.at) next = timer;
    return next;
  }
}

/**
 * Lets the event loop go round a few times, in which plain sockets on loopback connect and deliver. What the thread pool
 * does (files, names, compression), a TLS handshake and another process take longer: wait for those by `until`.
 */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await new Promise((done) => setImmediate(done));
}

/** Shorter than the time limit of a test, so that a failure names the condition. */
const UNTIL_LIMIT_MILLIS = 100_000;

/** Waits until `condition` holds, however slow the machine is. */
export async function until(condition: () => boolean): Promise<void> {
  const limit = performance.now() + UNTIL_LIMIT_MILLIS;
  while (!condition()) {
    if (performance.now() > limit)
      throw new Error(`this did not become true within ${UNTIL_LIMIT_MILLIS} ms: ${condition}`);
    await new Promise((done) => setTimeout(done, 1));
  }
}
