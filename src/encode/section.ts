import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import type { WallTime } from '../clock.ts';
import type { BufferPool } from './buffer-pool.ts';
import { writeEntry } from './entry.ts';
import type { Group, Layout } from './layout/layout.ts';
import type { Resource } from './resource.ts';
import type { ValueWriter } from './value.ts';
import { Writer } from './writer.ts';

export interface SectionOptions {
  readonly group: Group;
  readonly layout: Layout;
  readonly pool: BufferPool;
  /** What is before the group. Only the first section of a message has something there. */
  readonly prefix: Uint8Array;
  /** The size of the buffer at the beginning. */
  readonly bytes: number;
}

/** The entries of one group in an open chunk. They have a buffer of their own, so that groups can alternate. */
export class Section {
  readonly group: Group;
  readonly writer: Writer;
  readonly #layout: Layout;
  readonly #values: ValueWriter;
  /** The end of the entries that belong to the section. Behind it there can be an entry that does not. */
  #end: number;
  #records = 0;

  constructor({ group, layout, pool, prefix, bytes }: SectionOptions) {
    this.group = group;
    this.#layout = layout;
    this.writer = new Writer(pool, bytes);
    this.#values = layout.values(this.writer);
    this.writer.raw(prefix);
    this.writer.raw(group.header);
    this.#end = this.writer.position;
  }

  get records(): number {
    return this.#records;
  }

  get heldBytes(): number {
    return this.writer.buffer.length;
  }

  /** The entry that was written last. It belongs to the section after {@link take}. */
  get lastEntry(): Uint8Array {
    return this.writer.buffer.subarray(this.#end, this.writer.position);
  }

  /** The size of {@link lastEntry}. */
  get lastBytes(): number {
    return this.writer.position - this.#end;
  }

  /** Writes an entry. Returns false if the layout leaves the record out. Throws if it cannot be encoded. */
  write(maxBytes: number, record: ReadableLogRecord, now: WallTime, resource: Resource | undefined): boolean {
    this.discard();
    return writeEntry(this.#layout, this.#values, maxBytes, record, now, resource);
  }

  /** Writes an entry by `write`. */
  append(write: (writer: Writer) => void): void {
    this.discard();
    this.writer.limit = Number.MAX_SAFE_INTEGER;
    write(this.writer);
  }

  take(): void {
    this.#end = this.writer.position;
    this.#records++;
  }

  /** Removes the entry that was written last, if it does not belong to the section. */
  discard(): void {
    this.writer.position = this.#end;
  }

  /** Writes the end of the group. */
  close(): void {
    this.discard();
    this.writer.limit = Number.MAX_SAFE_INTEGER;
    this.writer.raw(this.group.end);
  }
}
