/**
 * Stride scheduling: shares use in proportion to weights. The user with the lowest pass is next, and its pass then grows
 * by a stride, which is the shorter, the higher its weight is. Among equal weights the least recently used one is next.
 */
export class StrideScheduler {
  #now = 0;

  /** Returns the first pass of a new user. `part`: how much of a stride it waits, from 0 to 1. */
  join(part: number, weight: number): number {
    return this.#now + part / weight;
  }

  /** Returns the new pass of a user after it was used. Time in which it could not be used earns no credit. */
  use(pass: number, weight: number): number {
    this.#now = Math.max(this.#now, pass);
    return this.join(1, weight);
  }
}
