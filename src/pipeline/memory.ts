import type { Chunk } from '../encode/chunk.ts';

/** The part of the limit from which on the less important records are dropped. */
const NEAR = 0.75;

/** Counts the memory of everything that is not settled, against a limit. */
export class MemoryBound {
  readonly limitBytes: number;
  readonly #nearBytes: number;
  #usedBytes = 0;

  constructor(limitBytes: number) {
    this.limitBytes = limitBytes;
    this.#nearBytes = limitBytes * NEAR;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  get isReached(): boolean {
    return this.#usedBytes >= this.limitBytes;
  }

  /** Whether more than three quarters of the limit are used. */
  get isNear(): boolean {
    return this.#usedBytes > this.#nearBytes;
  }

  /** Counts memory that no chunk holds yet. */
  reserve(bytes: number): void {
    this.#usedBytes += bytes;
  }

  /** Ends a reservation. */
  free(bytes: number): void {
    this.#usedBytes -= bytes;
  }

  /** Counts the memory of a chunk until it is released. */
  hold({ heldBytes }: Chunk): void {
    this.reserve(heldBytes);
  }

  /** Releases a chunk. Its memory counts as long as a stalled socket or a thread still reads it. */
  release(chunk: Chunk): void {
    chunk.release(() => this.free(chunk.heldBytes));
  }
}
