import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import type { WallTime } from '../clock.ts';
import { printable } from '../printable.ts';
import type { BufferPool } from './buffer-pool.ts';
import type { Chunk } from './chunk.ts';
import { type DropCause, describeDrop } from './drop-cause.ts';
import type { Layout } from './layout/layout.ts';
import { messagePrefix } from './message.ts';
import { type ChunkLimits, type Packed, Packer } from './packer.ts';
import { byGroup, byTag, MAX_TAGS } from './partition.ts';
import type { Tagger } from './tag.ts';

export interface EncodedBatch {
  readonly chunks: readonly Chunk[];
  /** Records that the layout left out. */
  readonly filtered: number;
  /** Records that could not be encoded. */
  readonly dropped: number;
  /** Dropped records that are too large for any message. */
  readonly oversize: number;
  /** Why the last dropped record was dropped: a code, and a description. */
  readonly dropCause: DropCause | undefined;
  readonly dropReason: string | undefined;
}

/** The settings and parts that a {@link BatchEncoder} works with. */
export interface BatchParts {
  readonly tag: string | Tagger;
  readonly limits: ChunkLimits;
  readonly layout: Layout;
  readonly pool: BufferPool;
  readonly warn: (cause: string, message: string) => void;
}

/** The expected size of a record in the first batch. Later batches expect the mean size of the batch before. */
const FIRST_GUESS_BYTES_PER_RECORD = 512;

/** Encodes batches of records into chunks. */
export class BatchEncoder {
  readonly #parts: BatchParts;
  /** The beginning of each message if all records have the same tag. */
  readonly #prefix: Buffer | undefined;
  #bytesPerRecord = FIRST_GUESS_BYTES_PER_RECORD;

  constructor(parts: BatchParts) {
    this.#parts = parts;
    keepCompiledCodeAlive(this, parts);
    if (typeof parts.tag === 'string') this.#prefix = messagePrefix(parts.tag);
  }

  /**
   * Encodes synchronously, so that the application can change the records afterwards. A record that cannot be
   * encoded is left out and counted. Records without a time get the time `now`. `encode()` may be called while it
   * runs: it calls code of the application (getters, `toJSON`), and that code may log.
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
    const { layout, limits, pool } = this.#parts;
    const expected = Math.ceil(records.length * this.#bytesPerRecord);
    const prefix = this.#prefix ?? messagePrefix(tag);
    const packer = new Packer({ tag, prefix, limits, pool }, layout, expected, batch);
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

/** Packers that nothing uses: see {@link keepCompiledCodeAlive}. */
const idlePackers = new WeakMap<BatchEncoder, Packer>();

/**
 * Keeps a packer and a writer alive for as long as `encoder` lives. V8 discards the code compiled for objects of
 * a class when a full garbage collection finds none of them, and between two batches there are none. The first
 * 512 records after such a collection take 0.8 ms; without this they take 7 to 13 ms (Node.js 20).
 * `npm run bench:guard` fails without it, at "heap bytes a record, after a full collection".
 */
function keepCompiledCodeAlive(encoder: BatchEncoder, parts: BatchParts): void {
  idlePackers.set(encoder, new Packer({ ...parts, tag: '', prefix: messagePrefix('') }, parts.layout, 0, new Batch(0)));
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
    const { cause, reason } = describeDrop(error, this.#ceilingBytes);
    this.dropped++;
    if (cause === 'oversize') this.oversize++;
    this.dropCause = cause;
    this.dropReason = reason;
  }
}
