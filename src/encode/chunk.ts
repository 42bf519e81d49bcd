import { randomFillSync } from 'node:crypto';
import { encode } from '@msgpack/msgpack';
import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import type { WallTime } from '../clock.ts';
import { type BufferPool, sizeClass } from './buffer-pool.ts';
import type { RecordEncoder } from './record.ts';
import { thrown, ValueWriter } from './value.ts';
import { TooLargeError, Writer } from './writer.ts';

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

export interface EncodedBatch {
  readonly chunks: readonly Chunk[];
  /** Records that could not be encoded. */
  readonly dropped: number;
  /** What was wrong with the last of them. */
  readonly dropReason: string | undefined;
}

export interface ChunkLimits {
  /** Bytes at which a chunk is cut. */
  readonly maxChunkBytes: number;
  /** Bytes that a chunk with a single record may have. */
  readonly ceilingBytes: number;
}

/** The option's largest encoding: a map of two, `size` with a 32-bit number, `chunk` with 24 characters. */
const OPTION_BYTES = 1 + 5 + 5 + 6 + 25;
const BIN32 = 0xc6;
const BIN32_HEADER_BYTES = 5;
/** What the first batch's records are taken to need; later ones are judged by the batch before. */
const FIRST_GUESS_BYTES_PER_RECORD = 512;

/** Encodes batches of records into chunks. */
export class BatchEncoder {
  readonly #tag: string;
  readonly #prefix: Buffer;
  readonly #limits: ChunkLimits;
  readonly #records: RecordEncoder;
  readonly #pool: BufferPool;
  #bytesPerRecord = FIRST_GUESS_BYTES_PER_RECORD;

  constructor(tag: string, limits: ChunkLimits, records: RecordEncoder, pool: BufferPool) {
    this.#tag = tag;
    this.#limits = limits;
    this.#records = records;
    this.#pool = pool;
    // Through a buffer, because a lone surrogate would leave `encode` as invalid UTF-8.
    const encodedTag = encode(Buffer.from(tag).toString());
    this.#prefix = Buffer.from([0x93, ...encodedTag, BIN32, 0, 0, 0, 0]);
  }

  /**
   * Encodes at once, so that what the application does to the records afterwards does not matter.
   * A record that cannot be encoded is left out and counted. `now` is the time of records without one.
   * May be called from within itself: encoding runs code of the application (getters, `toJSON`), which may log.
   */
  encode(records: readonly ReadableLogRecord[], now: WallTime): EncodedBatch {
    const chunks: Chunk[] = [];
    let dropped = 0;
    let dropReason: string | undefined;
    const overhead = this.#prefix.length + OPTION_BYTES;
    const expected = overhead + Math.ceil(records.length * this.#bytesPerRecord);
    const writer = new Writer(this.#pool, Math.min(expected, this.#limits.maxChunkBytes));
    const values = new ValueWriter(writer, this.#records.maxStringBytes);
    let entries = 0;
    writer.raw(this.#prefix);

    for (const record of records) {
      const start = writer.position;
      writer.limit = start + this.#limits.ceilingBytes - overhead;
      try {
        this.#records.write(writer, values, record, now);
      } catch (error) {
        writer.position = start;
        dropped++;
        dropReason = this.#describe(error);
        continue;
      }
      const end = writer.position;
      if (end - start > this.#limits.ceilingBytes - overhead) {
        writer.position = start;
        dropped++;
        dropReason = this.#describe(new TooLargeError());
        continue;
      }
      if (entries > 0 && end + OPTION_BYTES > this.#limits.maxChunkBytes) {
        // The entry moves to a chunk of its own, together with what follows it.
        const entry = writer.buffer.subarray(start, end);
        const next = this.#pool.acquire(this.#prefix.length + entry.length + OPTION_BYTES);
        this.#prefix.copy(next);
        entry.copy(next, this.#prefix.length);
        writer.position = start;
        chunks.push(this.#seal(writer, entries));
        writer.buffer = next;
        writer.position = this.#prefix.length + entry.length;
        entries = 0;
      }
      entries++;
    }
    if (entries > 0) {
      chunks.push(this.#seal(writer, entries));
      this.#learn(chunks, records.length - dropped);
    } else {
      this.#pool.release(writer.buffer);
    }
    return { chunks, dropped, dropReason };
  }

  /** Makes a chunk of what `writer` holds, and leaves the writer's buffer to it. */
  #seal(writer: Writer, entries: number): Chunk {
    const id = chunkId();
    const entriesEnd = writer.position;
    writer.limit = Number.MAX_SAFE_INTEGER;
    writer.buffer.writeUInt32BE(entriesEnd - this.#prefix.length, this.#prefix.length - BIN32_HEADER_BYTES + 1);
    writer.raw(encode({ size: entries, chunk: id }));
    // A guess that was too high must not hold memory until the ack.
    const fitting = sizeClass(writer.position);
    if (fitting < writer.buffer.length) writer.moveTo(this.#pool.acquire(fitting));
    return new Chunk(id, this.#tag, entries, writer.position, writer.buffer, this.#pool);
  }

  #learn(chunks: readonly Chunk[], records: number): void {
    let bytes = 0;
    for (const chunk of chunks) bytes += chunk.bytes.length - this.#prefix.length;
    this.#bytesPerRecord = bytes / records;
  }

  #describe(error: unknown): string {
    if (error instanceof TooLargeError) {
      return `it takes more than ${this.#limits.ceilingBytes} bytes, the most a receiver accepts`;
    }
    return `it cannot be read: ${thrown(error)}`;
  }
}

const ID_BYTES = 16;
const randomBytes = Buffer.alloc(ID_BYTES * 256);
let randomUsed = randomBytes.length;

/** Base64 of 16 random bytes. */
function chunkId(): string {
  if (randomUsed === randomBytes.length) {
    randomFillSync(randomBytes);
    randomUsed = 0;
  }
  const id = randomBytes.toString('base64', randomUsed, randomUsed + ID_BYTES);
  randomUsed += ID_BYTES;
  return id;
}
