import type { Timer } from '../../src/clock.ts';
import { FakeClock, until } from '../support/fake-clock.ts';

/**
 * A fake clock that stands still while the exporter dials. On a busy machine the kernel may take longer to answer a dial
 * than a few turns of the event loop, and the next timer would then come before the answer.
 */
export class DialClock extends FakeClock {
  readonly #isDialling: () => boolean;
  readonly #due = new Set<{ readonly at: number }>();

  constructor(isDialling: () => boolean) {
    super();
    this.#isDialling = isDialling;
  }

  override after(millis: number, callback: () => void): Timer {
    const due = { at: Math.round(this.now() + millis) };
    const timer = super.after(millis, () => {
      this.#due.delete(due);
      callback();
    });
    this.#due.add(due);
    return {
      cancel: () => {
        this.#due.delete(due);
        timer.cancel();
      },
    };
  }

  /** Moves on from one time at which something is due to the next. */
  override async advance(millis: number): Promise<void> {
    const end = this.now() + millis;
    let next: number;
    do {
      next = end;
      for (const { at } of this.#due) next = Math.min(next, Math.max(at, this.now()));
      await super.advance(next - this.now());
      await until(() => !this.#isDialling());
    } while (next < end);
  }
}
