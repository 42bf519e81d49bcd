import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import type { WallTime } from '../clock.ts';
import type { BufferPool } from './buffer-pool.ts';
import type { Chunk } from './chunk.ts';
import { type Layout, UnencodableError } from './layout/layout.ts';
import { type ChunkLimits, messagePrefix, type Packed, Packer } from './packer.ts';
import { thrown } from './value.ts';
import { TooLargeError } from './writer.ts';

export interface EncodedBatch {
  readonly chunks: readonly Chunk[];
  /** Records that could not be encoded. */
  readonly dropped: number;
  /** What was wrong with the last of them. */
  readonly dropReason: string | undefined;
}

/** What the first batch's records are taken to need; later ones are judged by the batch before. */
const FIRST_GUESS_BYTES_PER_RECORD = 512;

/** Encodes batches of records into chunks. */
export class BatchEncoder {
  readonly #tag: string;
  readonly #parts: { readonly limits: ChunkLimits; readonly layout: Layout; readonly pool: BufferPool };
  readonly #prefix: Buffer;
  #bytesPerRecord = FIRST_GUESS_BYTES_PER_RECORD;

  constructor(tag: string, limits: ChunkLimits, layout: Layout, pool: BufferPool) {
    this.#tag = tag;
    this.#prefix = messagePrefix(tag);
    this.#parts = { limits, layout, pool };
  }

  /**
   * Encodes at once, so that what the application does to the records afterwards does not matter.
   * A record that cannot be encoded is left out and counted. `now` is the time of records without one.
   * May be called from within itself: encoding runs code of the application (getters, `toJSON`), which may log.
   */
  encode(records: readonly ReadableLogRecord[], now: WallTime): EncodedBatch {
    const batch = new Batch(this.#parts.limits.ceilingBytes);
    const expected = Math.ceil(records.length * this.#bytesPerRecord);
    const packer = new Packer(this.#tag, this.#prefix, expected, this.#parts, batch);
    for (const record of records) packer.add(record, now);
    packer.finish();
    this.#learn(batch.chunks);
    return batch;
  }

  #learn(chunks: readonly Chunk[]): void {
    if (chunks.length === 0) return;
    let bytes = 0;
    let records = 0;
    for (const chunk of chunks) {
      bytes += chunk.bytes.length;
      records += chunk.records;
    }
    this.#bytesPerRecord = bytes / records;
  }
}

class Batch implements EncodedBatch, Packed {
  readonly chunks: Chunk[] = [];
  dropped = 0;
  dropReason: string | undefined;
  readonly #ceilingBytes: number;

  constructor(ceilingBytes: number) {
    this.#ceilingBytes = ceilingBytes;
  }

  filter(): void {}

  drop(error: unknown): void {
    this.dropped++;
    this.dropReason = this.#describe(error);
  }

  #describe(error: unknown): string {
    if (error instanceof TooLargeError) {
      return `it takes more than ${this.#ceilingBytes} bytes, the most a receiver accepts`;
    }
    if (error instanceof UnencodableError) return error.message;
    return `it cannot be read: ${thrown(error)}`;
  }
}
