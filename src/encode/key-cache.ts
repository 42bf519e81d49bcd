const MAX_KEYS = 1_024;
const MAX_LENGTH = 64;
/** Keeping a key takes ten times as long as encoding it: of this many that are not found, one is kept. */
const MISSES_PER_KEPT_KEY = 64;

/**
 * What the keys of maps are in MessagePack. Applications use the same few over and over, and finding one here
 * takes less time than encoding it. Keys that are made of data fill the cache too. A full cache is emptied, so
 * that it needs little memory and soon has the keys that are in use again.
 */
export class KeyCache {
  readonly #known = new Map<string, Uint8Array>();
  #random = 0;

  get(key: string): Uint8Array | undefined {
    return this.#known.get(key);
  }

  /** Keeps a few of the keys that are not found, with a copy of what stands from `start` to `end` in `bytes`. */
  missed(key: string, bytes: Uint8Array, start: number, end: number): void {
    if (key.length > MAX_LENGTH || !this.#isKept()) return;
    if (this.#known.size === MAX_KEYS) this.#known.clear();
    // Not by slice(), which for a Buffer copies nothing.
    this.#known.set(key, new Uint8Array(bytes.subarray(start, end)));
  }

  /**
   * By chance: if it were each 64th, it could be the same key of each record. A linear congruential generator,
   * because `Math.random()` takes half as long as encoding a key.
   */
  #isKept(): boolean {
    this.#random = (Math.imul(this.#random, 1_664_525) + 1_013_904_223) | 0;
    return this.#random >>> 0 < 2 ** 32 / MISSES_PER_KEPT_KEY;
  }
}
