/**
 * Turns in proportion to weights (stride scheduling): the one with the lowest turn is next, and its
 * turn then grows the less, the more it weighs. Among equal weights it is the least recently used.
 */
export class Turns {
  #now = 0;

  /** The turn of one that joins; a part of a stride, from 0 to 1, says how soon it comes. */
  join(part: number, weight: number): number {
    return this.#now + part / weight;
  }

  /** What its turn becomes by being used. Who could not be used for a while has nothing to catch up on. */
  take(turn: number, weight: number): number {
    this.#now = Math.max(this.#now, turn);
    return this.join(1, weight);
  }
}
