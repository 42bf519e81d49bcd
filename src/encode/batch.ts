import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import type { WallTime } from '../clock.ts';
import { printable } from '../printable.ts';
import type { BufferPool } from './buffer-pool.ts';
import type { Chunk } from './chunk.ts';
import { type Layout, UnencodableError } from './layout/layout.ts';
import { messagePrefix } from './message.ts';
import { type ChunkLimits, type Packed, Packer } from './packer.ts';
import { byGroup, byTag, MAX_TAGS } from './partition.ts';
import type { Tagger } from './tag.ts';
import { thrown } from './value.ts';
import { TooLargeError } from './writer.ts';

type DropCause = 'oversize' | 'unencodable' | 'unreadable';

export interface EncodedBatch {
  readonly chunks: readonly Chunk[];
  /** Records that the layout left out. */
  readonly filtered: number;
  /** Records that could not be encoded. */
  readonly dropped: number;
  /** Those of the dropped ones that are larger than any message. */
  readonly oversize: number;
  /** What was wrong with the last of them: its kind, and in words. */
  readonly dropCause: DropCause | undefined;
  readonly dropReason: string | undefined;
}

/** What the encoding of batches is made of. */
export interface BatchParts {
  readonly tag: string | Tagger;
  readonly limits: ChunkLimits;
  readonly layout: Layout;
  readonly pool: BufferPool;
  readonly warn: (cause: string, message: string) => void;
}

/** What the first batch's records are taken to need; later ones are judged by the batch before. */
const FIRST_GUESS_BYTES_PER_RECORD = 512;

/** Encodes batches of records into chunks. */
export class BatchEncoder {
  readonly #parts: BatchParts;
  /** With a tag that all records have, what their messages begin with. */
  readonly #prefix: Buffer | undefined;
  /**
   * Never used. As long as one lives, V8 keeps the code that it has compiled for packers and writers;
   * a full garbage collection between two batches would throw it away, and the next ones take four times as long.
   */
  protected readonly idle: Packer;
  #bytesPerRecord = FIRST_GUESS_BYTES_PER_RECORD;

  constructor(parts: BatchParts) {
    this.#parts = parts;
    this.idle = new Packer('', messagePrefix(''), 0, parts, new Batch(0));
    if (typeof parts.tag === 'string') this.#prefix = messagePrefix(parts.tag);
  }

  /**
   * Encodes at once, so that what the application does to the records afterwards does not matter.
   * A record that cannot be encoded is left out and counted. `now` is the time of records without one.
   * May be called from within itself: encoding runs code of the application (getters, `toJSON`), which may log.
   */
  encode(records: readonly ReadableLogRecord[], now: WallTime): EncodedBatch {
    const { tag, limits } = this.#parts;
    const batch = new Batch(limits.ceilingBytes);
    if (typeof tag === 'string') {
      this.#pack(tag, records, now, batch);
    } else {
      const parts = byTag(records, tag, (left) => this.#warnOfTags(left, records.length, tag.fallback));
      for (const [tag, ofTag] of parts) this.#pack(tag, ofTag, now, batch);
    }
    this.#learn(batch.chunks);
    return batch;
  }

  #pack(tag: string, records: readonly ReadableLogRecord[], now: WallTime, batch: Batch): void {
    const { layout } = this.#parts;
    const expected = Math.ceil(records.length * this.#bytesPerRecord);
    const packer = new Packer(tag, this.#prefix ?? messagePrefix(tag), expected, this.#parts, batch);
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

  #warnOfTags(left: number, records: number, fallback: string): void {
    this.#parts.warn(
      'tags',
      `${left} of ${records} log records got the tag ${printable(fallback)}: a batch may have ${MAX_TAGS} tags, as each costs a message`,
    );
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
  oversize = 0;
  dropCause: DropCause | undefined;
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
    if (error instanceof TooLargeError) {
      this.oversize++;
      this.dropCause = 'oversize';
      this.dropReason = `it takes more than ${this.#ceilingBytes} bytes, the most a receiver accepts`;
    } else if (error instanceof UnencodableError) {
      this.dropCause = 'unencodable';
      this.dropReason = error.message;
    } else {
      this.dropCause = 'unreadable';
      this.dropReason = `it cannot be read: ${printable(thrown(error))}`;
    }
  }
}
