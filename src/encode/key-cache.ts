const MAX_KEYS = 1_024;
const MAX_LENGTH = 64;
/** Keeping a key takes ten times as long as encoding it, so only one in this many unknown keys is kept. */
const MISSES_PER_KEPT_KEY = 64;

/**
 * The keys of maps in MessagePack. Applications use the same few keys over and over, and finding one here takes less
 * time than encoding it. Keys that are made from data fill the cache too. A full cache is emptied, so that it needs
 * little memory and soon contains the keys in use again.
 */
export class KeyCache {
  readonly #known = new Map<string, Uint8Array>();
  #random = 0;

  get(key: string): Uint8Array | undefined {
    return this.#known.get(key);
  }

  /** Keeps a few of the keys that {@link get} did not find. `bytes` contains the encoded key from `start` to `end`. */
  missed(key: string, bytes: Uint8Array, start: number, end: number): void {
    if (key.length > MAX_LENGTH || !this.#isKept()) return;
    if (this.#known.size === MAX_KEYS) this.#known.clear();
    // slice() of a Buffer would not copy.
    this.#known.set(key, new Uint8Array(bytes.subarray(start, end)));
  }

  /**
   * Decides at random: every 64th unknown key could be the same field of each record. Uses a linear congruential
   * generator, because `Math.random()` takes half as long as encoding a key.
   */
  #isKept(): boolean {
    this.#random = (Math.imul(this.#random, 1_664_525) + 1_013_904_223) | 0;
    return this.#random >>> 0 < 2 ** 32 / MISSES_PER_KEPT_KEY;
  }
}
