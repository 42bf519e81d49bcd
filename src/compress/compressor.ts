import type { BufferPool } from '../encode/buffer-pool.ts';
import { Chunk } from '../encode/chunk.ts';
import { messageOption, setPayloadBytes } from '../encode/message.ts';
import { messageOf } from '../errors.ts';
import type { Codec } from './codec.ts';

/** Fewer bytes of entries are not worth it: what compression saves of them is little or nothing. */
export const MIN_COMPRESSED_BYTES = 512;
/** Node.js has four threads by default, and name lookups and files need them too. */
const MAX_RUNNING = 2;
/** Logs shrink to less than this share, so that one buffer holds the result. */
const EXPECTED_SHARE = 1 / 4;

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
  #running = 0;

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

  #start(): void {
    for (const [chunk, done] of this.#waiting) {
      if (this.#running === MAX_RUNNING) return;
      this.#waiting.delete(chunk);
      void this.#run(chunk, done);
    }
  }

  async #run(chunk: Chunk, done: Done): Promise<void> {
    this.#running++;
    // The chunk may be given up while a thread reads it.
    chunk.retain();
    const compressed = await this.#compress(chunk);
    chunk.release();
    this.#running--;
    done(compressed);
    this.#start();
  }

  async #compress(chunk: Chunk): Promise<Chunk | undefined> {
    const { codec, level, warn } = this.#parts;
    const { payload, payloadBytes } = chunk;
    try {
      const limits = { chunkSize: Math.ceil(payloadBytes * EXPECTED_SHARE), maxOutputLength: payloadBytes };
      return this.#pack(chunk, await codec.compress(payload, level, limits));
    } catch (error) {
      const isLarger = (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE';
      if (!isLarger) warn('compression', `${codec.name} failed: ${messageOf(error)}; chunks are sent uncompressed`);
      return undefined;
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
