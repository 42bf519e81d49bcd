import { randomFillSync } from 'node:crypto';
import type { Volume } from '../stats.ts';
import type { BufferPool } from './buffer-pool.ts';

/** How the entries of a chunk are compressed. */
export interface ChunkCompression {
  /** The name of the codec. */
  readonly name: string;
  /** What the message would take without. */
  readonly rawBytes: number;
}

/** What a chunk is made of: a message of `length` bytes in `buffer`, which goes back to `pool`. */
export interface ChunkParts {
  readonly id: string;
  readonly tag: string;
  readonly records: number;
  readonly entries: number;
  /** The bytes before the entries. */
  readonly prefixBytes: number;
  /** The entries, compressed or not. */
  readonly payloadBytes: number;
  readonly length: number;
  readonly buffer: Buffer;
  readonly pool: BufferPool;
  readonly compression?: ChunkCompression;
}

/** One Forward message, ready to be written: `[tag, bin(entries), { size, chunk }]`, with `compressed` where it is. */
export class Chunk {
  /** Unique, and the same on every resend: what the receiver's ack names. */
  readonly id: string;
  readonly tag: string;
  /** How many records it carries. */
  readonly records: number;
  /** Those of the records, and group markers. */
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

  /** The bytes before the entries. */
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

  /** The memory that it holds. */
  get heldBytes(): number {
    return this.#buffer.length;
  }

  /** Says that a socket or a thread will read the bytes until it calls {@link release}. */
  retain(): void {
    this.#users++;
  }

  /**
   * The last release gives the buffer back: a chunk may be settled while a stalled socket still holds it. `onFree` is
   * called then, which may be at once.
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
