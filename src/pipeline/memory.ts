import type { Chunk } from '../encode/chunk.ts';

/** Counts the memory of everything that is not settled, against a limit. */
export class MemoryBound {
  readonly limitBytes: number;
  #usedBytes = 0;

  constructor(limitBytes: number) {
    this.limitBytes = limitBytes;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  get isReached(): boolean {
    return this.#usedBytes >= this.limitBytes;
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
