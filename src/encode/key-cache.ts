const MAX_KEYS = 1_024;
const MAX_LENGTH = 64;

/**
 * What the keys of maps are in MessagePack. Applications use the same few over and over, and finding one here
 * takes less time than encoding it. Bounded: keys that are made of data would fill the memory.
 */
export class KeyCache {
  readonly #known = new Map<string, Uint8Array>();

  get(key: string): Uint8Array | undefined {
    return this.#known.get(key);
  }

  /** Keeps a copy of what stands from `start` to `end` in `bytes`. */
  add(key: string, bytes: Uint8Array, start: number, end: number): void {
    if (key.length > MAX_LENGTH || this.#known.size >= MAX_KEYS) return;
    // Not by slice(), which for a Buffer copies nothing.
    this.#known.set(key, Uint8Array.from(bytes.subarray(start, end)));
  }
}
