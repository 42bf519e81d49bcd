import { backoffDelay } from '../backoff-delay.ts';
import type { Clock } from '../clock.ts';

const EJECTION = { firstMillis: 1_000, capMillis: 60_000 };

/**
 * Whether the receiver at an address works. After a failure the address is ejected for a growing time. Then it is
 * unproven until the next ack: one connection may try it.
 */
export class Health {
  readonly #clock: Clock;
  readonly #random: () => number;
  #failures = 0;
  #failedAt = 0;
  #ejectedUntil = 0;

  constructor(clock: Clock, random: () => number) {
    this.#clock = clock;
    this.#random = random;
  }

  /** Failures since the last ack. */
  get failures(): number {
    return this.#failures;
  }

  /** When it failed last, on the clock. 0 if it never did. */
  get failedAt(): number {
    return this.#failedAt;
  }

  get state(): 'healthy' | 'ejected' | 'unproven' {
    if (this.#failures === 0) return 'healthy';
    return this.ejectedForMillis > 0 ? 'ejected' : 'unproven';
  }

  /** How long the ejection still lasts, in milliseconds; 0 if there is none. */
  get ejectedForMillis(): number {
    return Math.max(0, this.#ejectedUntil - this.#clock.now());
  }

  /** An ack came from the address. */
  succeeded(): void {
    this.#failures = 0;
    this.#ejectedUntil = 0;
  }

  /**
   * A dial to the address or a chunk on it failed. Returns whether that is news: connections that were dialled before
   * the last failure fail together, and count once.
   */
  failed(dialledAt: number): boolean {
    if (this.#failures > 0 && dialledAt <= this.#failedAt) return false;
    this.#failures++;
    this.#failedAt = this.#clock.now();
    this.#ejectedUntil = this.#failedAt + backoffDelay(this.#failures, this.#random, EJECTION);
    return true;
  }
}
