import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import type { WallTime } from '../clock.ts';
import type { BufferPool } from './buffer-pool.ts';
import type { Chunk } from './chunk.ts';
import { writeEntry } from './entry.ts';
import { type Group, type Layout, markers, NO_GROUP } from './layout/layout.ts';
import { OPTION_BYTES } from './message.ts';
import { seal } from './seal.ts';
import type { ValueWriter } from './value.ts';
import { Writer } from './writer.ts';

export interface ChunkLimits {
  /** The size at which a chunk is cut. */
  readonly maxChunkBytes: number;
  /** The most bytes that a chunk with a single record may have. */
  readonly ceilingBytes: number;
}

/** Receives the chunks of a batch, and counts the records that are in none. */
export interface Packed {
  readonly chunks: Chunk[];
  /** Counts a record that the layout left out. */
  filter(): void;
  /** Counts a record that could not be encoded because of `error`. */
  drop(error: unknown): void;
}

export interface PackerOptions {
  readonly tag: string;
  /** The `messagePrefix` of the tag. */
  readonly prefix: Buffer;
  readonly limits: ChunkLimits;
  readonly pool: BufferPool;
}

/**
 * Packs records of one tag into chunks. Call {@link begin} for each group, {@link add} for each record, and then {@link
 * finish}.
 */
export class Packer {
  readonly #options: PackerOptions;
  readonly #layout: Layout;
  readonly #packed: Packed;
  readonly #writer: Writer;
  readonly #values: ValueWriter;
  #group: Group = NO_GROUP;
  /** The most bytes that an entry of the group may take. */
  #maxEntryBytes = 0;
  /** An entry that ends behind this position goes to the next chunk. */
  #cutPosition = 0;
  /** True if the chunk contains the group's header, but not yet its end. */
  #isOpen = false;
  /** The number of entries in the chunk, including group markers. */
  #entries = 0;
  #records = 0;

  /** `bytes` is the expected size of the records. */
  constructor(options: PackerOptions, layout: Layout, bytes: number, packed: Packed) {
    const { limits, pool, prefix } = options;
    this.#options = options;
    this.#layout = layout;
    this.#packed = packed;
    this.#writer = new Writer(pool, Math.min(prefix.length + bytes + OPTION_BYTES, limits.maxChunkBytes));
    this.#values = layout.values(this.#writer);
    this.#writer.raw(prefix);
    this.begin(NO_GROUP);
  }

  /** Ends the current group, if there is one. Records that are added from now on belong to `group`. */
  begin(group: Group): void {
    this.#close();
    this.#group = group;
    const { limits, prefix } = this.#options;
    const { maxChunkBytes, ceilingBytes } = limits;
    const { header, end } = group;
    this.#maxEntryBytes = ceilingBytes - prefix.length - header.length - end.length - OPTION_BYTES;
    this.#cutPosition = maxChunkBytes - end.length - OPTION_BYTES;
  }

  /** Adds a record. A record that cannot be encoded adds nothing to the chunk, not even an empty group. */
  add(record: ReadableLogRecord, now: WallTime): void {
    const writer = this.#writer;
    const start = writer.position;
    if (!this.#isOpen) this.#raw(this.#group.header);
    const entry = writer.position;
    if (!this.#write(record, now)) {
      writer.position = start;
      return;
    }
    if (this.#records > 0 && writer.position > this.#cutPosition) this.#cut(start, entry);
    if (!this.#isOpen) {
      this.#isOpen = true;
      this.#entries += markers(this.#group);
    }
    this.#entries++;
    this.#records++;
  }

  /** Makes the last chunk. */
  finish(): void {
    this.#close();
    if (this.#records > 0) this.#seal();
    else this.#options.pool.release(this.#writer.buffer);
  }

  /** Writes a record's entry. Returns false if there is none. */
  #write(record: ReadableLogRecord, now: WallTime): boolean {
    try {
      const isWritten = writeEntry(this.#layout, this.#values, this.#maxEntryBytes, record, now, record.resource);
      if (!isWritten) this.#packed.filter();
      return isWritten;
    } catch (error) {
      this.#packed.drop(error);
      return false;
    }
  }

  /** Ends the chunk at `start`. The entry at `entry` becomes the first one of its group in the next chunk. */
  #cut(start: number, entry: number): void {
    const writer = this.#writer;
    const { header } = this.#group;
    const moved = writer.buffer.subarray(entry, writer.position);
    const { pool, prefix } = this.#options;
    const beginning = prefix.length + header.length;
    const next = pool.acquire(beginning + moved.length + this.#group.end.length + OPTION_BYTES);
    next.set(prefix);
    next.set(header, prefix.length);
    next.set(moved, beginning);
    const end = beginning + moved.length;
    writer.position = start;
    this.#close();
    this.#seal();
    writer.continueIn(next, end);
  }

  #close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#raw(this.#group.end);
  }

  #seal(): void {
    const { pool, prefix, tag } = this.#options;
    const counts = { entries: this.#entries, records: this.#records };
    this.#packed.chunks.push(seal(this.#writer, { tag, prefixBytes: prefix.length, pool, ...counts }));
    this.#entries = 0;
    this.#records = 0;
  }

  /** Writes bytes to which the limit of a record does not apply. */
  #raw(bytes: Uint8Array): void {
    this.#writer.limit = Number.MAX_SAFE_INTEGER;
    this.#writer.raw(bytes);
  }
}
