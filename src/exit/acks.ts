const IS_FINISHED = 0;
/** The places of the chunks begin here. */
const FIRST = 1;

/** Which chunks are acknowledged, in memory that two threads share. One writes, and the other one waits. */
export class Acks {
  readonly buffer: SharedArrayBuffer;
  readonly #cells: Int32Array<SharedArrayBuffer>;

  constructor(buffer: SharedArrayBuffer) {
    this.buffer = buffer;
    this.#cells = new Int32Array(buffer);
  }

  static for(chunks: number): Acks {
    return new Acks(new SharedArrayBuffer((FIRST + chunks) * Int32Array.BYTES_PER_ELEMENT));
  }

  acknowledge(index: number): void {
    Atomics.store(this.#cells, FIRST + index, 1);
  }

  has(index: number): boolean {
    return Atomics.load(this.#cells, FIRST + index) === 1;
  }

  /** Ends the wait of the other thread. */
  finish(): void {
    Atomics.store(this.#cells, IS_FINISHED, 1);
    Atomics.notify(this.#cells, IS_FINISHED);
  }

  /** Blocks this thread until {@link finish}, for at most `millis`. */
  wait(millis: number): void {
    Atomics.wait(this.#cells, IS_FINISHED, 0, millis);
  }
}
