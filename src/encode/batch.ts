import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import type { WallTime } from '../clock.ts';
import type { BufferPool } from './buffer-pool.ts';
import type { Chunk } from './chunk.ts';
import { type Layout, UnencodableError } from './layout/layout.ts';
import { type ChunkLimits, messagePrefix, type Packed, Packer } from './packer.ts';
import { byGroup } from './partition.ts';
import { thrown } from './value.ts';
import { TooLargeError } from './writer.ts';

export interface EncodedBatch {
  readonly chunks: readonly Chunk[];
  /** Records that the layout left out. */
  readonly filtered: number;
  /** Records that could not be encoded. */
  readonly dropped: number;
  /** What was wrong with the last of them. */
  readonly dropReason: string | undefined;
}

/** What the encoding of batches is made of. */
export interface BatchParts {
  readonly tag: string;
  readonly limits: ChunkLimits;
  readonly layout: Layout;
  readonly pool: BufferPool;
}

/** What the first batch's records are taken to need; later ones are judged by the batch before. */
const FIRST_GUESS_BYTES_PER_RECORD = 512;

/** Encodes batches of records into chunks. */
export class BatchEncoder {
  readonly #parts: BatchParts;
  readonly #prefix: Buffer;
  #bytesPerRecord = FIRST_GUESS_BYTES_PER_RECORD;

  constructor(parts: BatchParts) {
    this.#parts = parts;
    this.#prefix = messagePrefix(parts.tag);
  }

  /**
   * Encodes at once, so that what the application does to the records afterwards does not matter.
   * A record that cannot be encoded is left out and counted. `now` is the time of records without one.
   * May be called from within itself: encoding runs code of the application (getters, `toJSON`), which may log.
   */
  encode(records: readonly ReadableLogRecord[], now: WallTime): EncodedBatch {
    const batch = new Batch(this.#parts.limits.ceilingBytes);
    this.#pack(records, now, batch);
    this.#learn(batch.chunks);
    return batch;
  }

  #pack(records: readonly ReadableLogRecord[], now: WallTime, batch: Batch): void {
    const { layout, tag } = this.#parts;
    const expected = Math.ceil(records.length * this.#bytesPerRecord);
    const packer = new Packer(tag, this.#prefix, expected, this.#parts, batch);
    if (layout.groupOf === undefined) {
      for (const record of records) packer.add(record, now);
    } else {
      const groups = byGroup(records, layout.groupOf.bind(layout), (error) => batch.drop(error));
      for (const { group, records } of groups) {
        packer.begin(group);
        for (const record of records) packer.add(record, now);
      }
    }
    packer.finish();
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
  filtered = 0;
  dropped = 0;
  dropReason: string | undefined;
  readonly #ceilingBytes: number;

  constructor(ceilingBytes: number) {
    this.#ceilingBytes = ceilingBytes;
  }

  filter(): void {
    this.filtered++;
  }

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
