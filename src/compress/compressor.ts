import type { BufferPool } from '../encode/buffer-pool.ts';
import { Chunk } from '../encode/chunk.ts';
import { messageOption, setPayloadBytes } from '../encode/message.ts';
import { messageOf } from '../errors.ts';
import type { Codec } from './codec.ts';
import type { Engine } from './engine.ts';

/** Of fewer bytes compression saves little, and of less than 200 nothing. */
export const MIN_COMPRESSED_BYTES = 256;
/** Node.js has four threads by default, and name lookups and files need them too. */
const MAX_RUNNING = 2;

export interface CompressorParts {
  readonly codec: Codec;
  readonly level: number;
  readonly pool: BufferPool;
  readonly warn: (cause: string, message: string) => void;
}

/** A chunk of its own, or `undefined` when the original is to be sent. */
type Done = (compressed: Chunk | undefined) => void;

/** Compresses chunks off the main thread, a few at a time, in the order in which they come. */
export class Compressor {
  readonly #parts: CompressorParts;
  readonly #waiting = new Map<Chunk, Done>();
  readonly #idle: Engine[] = [];
  #running = 0;
  #isClosed = false;

  constructor(parts: CompressorParts) {
    this.#parts = parts;
  }

  /** Whether a chunk is to be compressed at all. */
  takes({ payloadBytes }: Chunk): boolean {
    return payloadBytes >= MIN_COMPRESSED_BYTES && payloadBytes <= this.#parts.codec.maxBytes;
  }

  /**
   * Makes a chunk with the same id and records that is smaller. `done` is called in a later turn, with `undefined`
   * where there is no such chunk.
   */
  compress(chunk: Chunk, done: Done): void {
    this.#waiting.set(chunk, done);
    this.#start();
  }

  /** Forgets a chunk that has not been started; one that has is finished. */
  cancel(chunk: Chunk): void {
    this.#waiting.delete(chunk);
  }

  /** Gives back what it holds; what is being compressed is finished. */
  close(): void {
    this.#isClosed = true;
    for (const engine of this.#idle.splice(0)) close(engine);
  }

  #start(): void {
    for (const [chunk, done] of this.#waiting) {
      if (this.#running === MAX_RUNNING) return;
      this.#waiting.delete(chunk);
      void this.#run(chunk, done);
    }
  }

  /** Never rejects: that would end the process, or leave the chunks that wait. */
  async #run(chunk: Chunk, done: Done): Promise<void> {
    this.#running++;
    // The chunk may be given up while a thread reads it.
    chunk.retain();
    const compressed = await this.#compress(chunk);
    chunk.release();
    this.#running--;
    try {
      done(compressed);
    } catch (error) {
      const { name } = this.#parts.codec;
      this.#warn('compressed', `${name}: a fault of the exporter: ${messageOf(error)}; the chunk may be lost`);
    }
    this.#start();
  }

  async #compress(chunk: Chunk): Promise<Chunk | undefined> {
    const { codec, level } = this.#parts;
    try {
      const engine = this.#idle.pop() ?? codec.createEngine(level);
      const compressed = this.#pack(chunk, await engine.compress(chunk.payload));
      // One that has failed is left to the garbage collector.
      if (this.#isClosed) close(engine);
      else this.#idle.push(engine);
      return compressed;
    } catch (error) {
      this.#warn('compression', `${codec.name} failed: ${messageOf(error)}; chunks are sent uncompressed`);
      return undefined;
    }
  }

  #warn(cause: string, message: string): void {
    try {
      this.#parts.warn(cause, message);
    } catch {
      // What is compressed does not depend on whether it is logged.
    }
  }

  #pack(chunk: Chunk, compressed: Buffer): Chunk | undefined {
    const { codec, pool } = this.#parts;
    const { id, tag, records, entries, prefix } = chunk;
    const option = messageOption({ size: entries, chunk: id, compressed: codec.name });
    const payloadEnd = prefix.length + compressed.length;
    const length = payloadEnd + option.length;
    if (length >= chunk.bytes.length) return undefined;
    const buffer = pool.acquire(length);
    buffer.set(prefix);
    buffer.set(compressed, prefix.length);
    buffer.set(option, payloadEnd);
    setPayloadBytes(buffer, prefix.length, compressed.length);
    const compression = { name: codec.name, rawBytes: chunk.bytes.length };
    const [prefixBytes, payloadBytes] = [prefix.length, compressed.length];
    return new Chunk({ id, tag, records, entries, prefixBytes, payloadBytes, length, buffer, pool, compression });
  }
}

/** An engine that cannot be closed is left to the garbage collector. */
function close(engine: Engine): void {
  try {
    engine.close();
  } catch {
    // It is of no use any more.
  }
}
