const SMALLEST_BYTES = 1024;
const LARGEST_POOLED_BYTES = 1024 * 1024;
/** The most that the pool keeps. The garbage collector gets the other buffers that come back. */
const RETAINED_BYTES = 4 * 1024 * 1024;

/** Lends buffers of certain sizes, and keeps a bounded number of them for the next chunk. */
export class BufferPool {
  readonly #free = new Map<number, Buffer[]>();
  #retainedBytes = 0;

  get retainedBytes(): number {
    return this.#retainedBytes;
  }

  /** Returns a buffer of at least `bytes`. It still has the content that its last user wrote. */
  acquire(bytes: number): Buffer {
    const size = sizeClass(bytes);
    const pooled = this.#free.get(size)?.pop();
    if (pooled === undefined) return Buffer.allocUnsafeSlow(size);
    this.#retainedBytes -= size;
    return pooled;
  }

  /** Takes a buffer back. Nothing may read or write it afterwards, including sockets. */
  release(buffer: Buffer): void {
    const size = buffer.length;
    if (size > LARGEST_POOLED_BYTES || this.#retainedBytes + size > RETAINED_BYTES) return;
    const free = this.#free.get(size);
    if (free === undefined) this.#free.set(size, [buffer]);
    else free.push(buffer);
    this.#retainedBytes += size;
  }
}

/**
 * The size of the buffer that `acquire(bytes)` returns. There are four sizes in each power of two, so that at most a
 * fifth of a buffer is unused: chunks that wait for their acks keep their buffers.
 */
export function sizeClass(bytes: number): number {
  if (bytes <= SMALLEST_BYTES) return SMALLEST_BYTES;
  const step = 2 ** (29 - Math.clz32(bytes - 1));
  return Math.ceil(bytes / step) * step;
}
