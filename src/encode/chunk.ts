import { randomFillSync } from 'node:crypto';
import type { Volume } from '../stats.ts';
import type { BufferPool } from './buffer-pool.ts';

/** How the entries of a chunk are compressed. */
export interface ChunkCompression {
  /** The name of the codec. */
  readonly name: string;
  /** The size of the message without compression. */
  readonly rawBytes: number;
}

/** The parts of a chunk: a message of `length` bytes in `buffer`, which goes back to `pool`. */
export interface ChunkParts {
  readonly id: string;
  readonly tag: string;
  readonly records: number;
  readonly entries: number;
  /** The size of the message's part before the entries. */
  readonly prefixBytes: number;
  /** The size of the entries, after compression if they are compressed. */
  readonly payloadBytes: number;
  readonly length: number;
  readonly buffer: Buffer;
  readonly pool: BufferPool;
  readonly compression?: ChunkCompression;
}

/**
 * One Forward message, ready to be written: `[tag, bin(entries), { size, chunk }]`, with `compressed` if it is
 * compressed.
 */
export class Chunk {
  /** Unique, and the same on every resend. The receiver's ack contains it. */
  readonly id: string;
  readonly tag: string;
  /** The number of records. */
  readonly records: number;
  /** The number of entries: those of the records, and group markers. */
  readonly entries: number;
  readonly bytes: Uint8Array;
  readonly payloadBytes: number;
  readonly compression: ChunkCompression | undefined;
  readonly #prefixBytes: number;
  readonly #buffer: Buffer;
  readonly #pool: BufferPool;
  #users = 1;
  #onFree: (() => void) | undefined;

  constructor({ id, tag, records, entries, prefixBytes, payloadBytes, length, buffer, pool, compression }: ChunkParts) {
    this.id = id;
    this.tag = tag;
    this.records = records;
    this.entries = entries;
    this.bytes = buffer.subarray(0, length);
    this.payloadBytes = payloadBytes;
    this.compression = compression;
    this.#prefixBytes = prefixBytes;
    this.#buffer = buffer;
    this.#pool = pool;
  }

  /** The bytes of the message before the entries. */
  get prefix(): Uint8Array {
    return this.bytes.subarray(0, this.#prefixBytes);
  }

  /** The entries. */
  get payload(): Uint8Array {
    return this.bytes.subarray(this.#prefixBytes, this.#prefixBytes + this.payloadBytes);
  }

  get rawBytes(): number {
    return this.compression?.rawBytes ?? this.bytes.length;
  }

  get volume(): Volume {
    return { records: this.records, bytes: this.bytes.length, rawBytes: this.rawBytes };
  }

  /** The memory that the chunk uses. */
  get heldBytes(): number {
    return this.#buffer.length;
  }

  /** Called before a socket or a thread reads the bytes. It calls {@link release} when it has finished. */
  retain(): void {
    this.#users++;
  }

  /**
   * The last release gives the buffer back to the pool, because a chunk can be settled while a stalled socket still
   * reads it. `onFree` is called then, which may be immediately.
   */
  release(onFree?: () => void): void {
    this.#onFree = onFree ?? this.#onFree;
    if (--this.#users !== 0) return;
    this.#pool.release(this.#buffer);
    this.#onFree?.();
  }
}

const ID_BYTES = 16;
const randomBytes = Buffer.alloc(ID_BYTES * 256);
let randomUsed = randomBytes.length;

/** Base64 of 16 random bytes. */
export function chunkId(): string {
  if (randomUsed === randomBytes.length) {
    randomFillSync(randomBytes);
    randomUsed = 0;
  }
  const id = randomBytes.toString('base64', randomUsed, randomUsed + ID_BYTES);
  randomUsed += ID_BYTES;
  return id;
}
