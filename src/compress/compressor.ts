import type { BufferPool } from '../encode/buffer-pool.ts';
import { Chunk } from '../encode/chunk.ts';
import { messageOption, setPayloadBytes } from '../encode/message.ts';
import { messageOf } from '../errors.ts';
import type { Codec } from './codec.ts';
import type { Engine } from './engine.ts';

/** Compression saves little below this size, and nothing below 200 bytes. */
export const MIN_COMPRESSED_BYTES = 256;
/** Node.js has four threads by default, and name lookups and files need them too. */
const MAX_RUNNING = 2;

export interface CompressorParts {
  readonly codec: Codec;
  readonly level: number;
  readonly pool: BufferPool;
  readonly warn: (cause: string, message: string) => void;
}

/** The callbacks of one compression. */
export interface Compression {
  /** The compression begins. */
  started(): void;
  /** Gets the compressed chunk, or `undefined` if the original is to be sent. */
  done(compressed: Chunk | undefined): void;
}

/** Compresses chunks off the main thread, a few at a time, in the order in which they come. */
export class Compressor {
  readonly #parts: CompressorParts;
  readonly #waiting = new Map<Chunk, Compression>();
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
   * Makes a smaller chunk with the same id and records. Calls `started` at once or later, and `done` in a later turn,
   * with `undefined` if the compressed chunk is not smaller or the compression fails.
   */
  compress(chunk: Chunk, compression: Compression): void {
    this.#waiting.set(chunk, compression);
    this.#start();
  }

  /** Forgets a chunk whose compression has not started. A compression that runs goes on to its end. */
  cancel(chunk: Chunk): void {
    this.#waiting.delete(chunk);
  }

  /** Closes the engines. A compression that runs goes on to its end. */
  close(): void {
    this.#isClosed = true;
    for (const engine of this.#idle.splice(0)) close(engine);
  }

  #start(): void {
    for (const [chunk, compression] of this.#waiting) {
      if (this.#running === MAX_RUNNING) return;
      this.#waiting.delete(chunk);
      void this.#run(chunk, compression);
    }
  }

  /** Never rejects, because a rejection could end the process, and the waiting chunks would stay uncompressed. */
  async #run(chunk: Chunk, compression: Compression): Promise<void> {
    this.#running++;
    // The chunk can be settled while a thread reads its bytes.
    chunk.retain();
    compression.started();
    const compressed = await this.#compress(chunk);
    chunk.release();
    this.#running--;
    try {
      compression.done(compressed);
    } catch (error) {
      const { name } = this.#parts.codec;
      this.#warn('compressed', `${name}: a fault of this package: ${messageOf(error)}; the chunk may be lost`);
    }
    this.#start();
  }

  async #compress(chunk: Chunk): Promise<Chunk | undefined> {
    const { codec, level } = this.#parts;
    try {
      const engine = this.#idle.pop() ?? codec.createEngine(level);
      const compressed = this.#pack(chunk, await engine.compress(chunk.payload));
      // An engine that failed is not used again.
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
      // Compression goes on even if logging fails.
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
    // The engine is not used again.
  }
}
