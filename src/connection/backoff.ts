import { backoffDelay } from '../backoff-delay.ts';
import type { Clock, Timer } from '../clock.ts';

export interface BackoffOptions {
  readonly clock: Clock;
  readonly random: () => number;
  /** Called at the end of a wait for which {@link Backoff.wakeAtEnd} was called. */
  readonly onEnd: () => void;
}

/** A wait after failures, which becomes longer with each failure. */
export class Backoff {
  readonly #options: BackoffOptions;
  /** The number of failures since the last {@link reset}, except failures during a wait. */
  #failures = 0;
  #until = Number.NEGATIVE_INFINITY;
  #timer: Timer | undefined;

  constructor(options: BackoffOptions) {
    this.#options = options;
  }

  get isRunning(): boolean {
    return this.#options.clock.now() < this.#until;
  }

  /** How long the wait still lasts, in whole milliseconds; 0 or less if there is none. */
  get remainingMillis(): number {
    return Math.ceil(this.#until - this.#options.clock.now());
  }

  /** Begins a wait, unless one is running. */
  fail(): void {
    if (this.isRunning) return;
    const { clock, random } = this.#options;
    this.#failures++;
    this.#until = clock.now() + backoffDelay(this.#failures, random);
  }

  /** Calls `onEnd` once at the end of the wait. */
  wakeAtEnd(): void {
    if (this.#timer !== undefined) return;
    const { clock, onEnd } = this.#options;
    this.#timer = clock.after(Math.max(0, this.#until - clock.now()), () => {
      this.#timer = undefined;
      onEnd();
    });
  }

  /** Ends the wait. The failures still count, so the next wait is longer. */
  end(): void {
    this.#until = Number.NEGATIVE_INFINITY;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  /** Something has succeeded: ends the wait, and the next one is short again. */
  reset(): void {
    this.#failures = 0;
    this.end();
  }
}
