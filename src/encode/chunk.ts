import { randomFillSync } from 'node:crypto';
import type { BufferPool } from './buffer-pool.ts';

/** One Forward message, ready to be written: `[tag, bin(entries), { size, chunk }]`. */
export class Chunk {
  /** Unique, and the same on every resend: what the receiver's ack names. */
  readonly id: string;
  readonly tag: string;
  /** How many records it carries. */
  readonly records: number;
  readonly bytes: Uint8Array;
  readonly #buffer: Buffer;
  readonly #pool: BufferPool;
  #users = 1;

  constructor(id: string, tag: string, records: number, length: number, buffer: Buffer, pool: BufferPool) {
    this.id = id;
    this.tag = tag;
    this.records = records;
    this.bytes = buffer.subarray(0, length);
    this.#buffer = buffer;
    this.#pool = pool;
  }

  /** The memory that it holds. */
  get heldBytes(): number {
    return this.#buffer.length;
  }

  /** Says that a socket will read the bytes until it calls {@link release}. */
  retain(): void {
    this.#users++;
  }

  /** The last release gives the buffer back: a chunk may be settled while a stalled socket still holds it. */
  release(): void {
    if (--this.#users === 0) this.#pool.release(this.#buffer);
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
