import type { Clock, Timer } from './clock.ts';

/** Waits for promises, each for a limited time, and leaves no timer behind when it is closed. */
export class BoundedWaits {
  readonly #clock: Clock;
  readonly #limits = new Set<Timer>();
  #isClosed = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * Settles as `promise` does. If that takes longer than `millis`, rejects with the message that `late` returns;
   * what becomes of the promise afterwards is ignored.
   */
  within<T>(
    millis: number,
    promise: Promise<T>,
    late: () => string = () => `no answer within ${millis} ms`,
  ): Promise<T> {
    if (this.#isClosed) return promise;
    return new Promise((resolve, reject) => {
      const limit = this.#clock.after(millis, () => reject(new Error(late())));
      this.#limits.add(limit);
      promise.then(resolve, reject).finally(() => {
        limit.cancel();
        this.#limits.delete(limit);
      });
    });
  }

  /** From now on nothing is too late: nobody waits for it. */
  close(): void {
    this.#isClosed = true;
    for (const limit of this.#limits) limit.cancel();
  }
}
