import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import type { WallTime } from '../clock.ts';
import { SeverityCounts } from '../severity.ts';
import type { BufferPool } from './buffer-pool.ts';
import { writeEntry } from './entry.ts';
import type { Layout } from './layout/layout.ts';
import { MESSAGE_CEILING_BYTES } from './message.ts';
import type { Resource } from './resource.ts';
import type { Scope } from './scope.ts';
import type { DeferredTag } from './tag.ts';
import type { ValueWriter } from './value.ts';
import { Writer } from './writer.ts';

/** An entry whose resource is missing. */
export interface DeferredEntry {
  readonly tag: DeferredTag;
  readonly scope: Scope;
  readonly severityNumber: unknown;
  readonly bytes: Uint8Array;
  /** The position in `bytes` at which the resource is missing. */
  readonly gap: number;
}

export interface DeferredEntriesOptions {
  readonly layout: Layout;
  readonly pool: BufferPool;
  /** The bytes that an entry will get at least when its resource is known. They count from the beginning. */
  readonly resourceBytes: number;
  /** The number of records that are being encoded when a record is added. An entry in the middle must not be cut. */
  readonly nesting: number;
}

type Placed = Omit<DeferredEntry, 'bytes'> & { readonly start: number; readonly end: number };

/** The memory that an entry uses beside its bytes, and the bytes of attributes that are not known yet. */
const OVERHEAD_BYTES = 256;
/** When the buffer has this size, further entries go into another one, because a buffer that grows doubles its size. */
const MAX_BUFFER_BYTES = 512 * 1024;

/** Entries of records that share a resource which is not known completely. They are encoded without it. */
export class DeferredEntries {
  readonly nesting: number;
  readonly #layout: Layout;
  readonly #pool: BufferPool;
  readonly #writer: Writer;
  readonly #values: ValueWriter;
  readonly #entries: Placed[] = [];
  readonly #overheadBytes: number;

  constructor({ layout, pool, resourceBytes, nesting }: DeferredEntriesOptions) {
    this.nesting = nesting;
    this.#layout = layout;
    this.#overheadBytes = OVERHEAD_BYTES + resourceBytes;
    this.#pool = pool;
    this.#writer = new Writer(pool, 0);
    this.#values = layout.values(this.#writer);
  }

  /** The memory that the entries use. */
  get heldBytes(): number {
    return this.#writer.buffer.length + this.#entries.length * this.#overheadBytes;
  }

  get isFull(): boolean {
    return this.#writer.position >= MAX_BUFFER_BYTES;
  }

  /** Adds a record without its resource. Returns false if the layout leaves it out. Throws if it cannot be encoded. */
  add(record: ReadableLogRecord, severityNumber: unknown, tag: DeferredTag, now: WallTime): boolean {
    const start = this.#writer.position;
    if (!writeEntry(this.#layout, this.#values, MESSAGE_CEILING_BYTES, record, now, undefined)) return false;
    const { instrumentationScope: scope } = record;
    const end = this.#writer.position;
    this.#entries.push({ tag, scope, severityNumber, start, end, gap: this.#values.gap - start });
    return true;
  }

  get severities(): SeverityCounts {
    const counts = new SeverityCounts();
    for (const { severityNumber } of this.#entries) counts.add(severityNumber);
    return counts;
  }

  /** The entries, in the order in which they were added. */
  *[Symbol.iterator](): Iterator<DeferredEntry> {
    const { buffer } = this.#writer;
    for (const { start, end, ...entry } of this.#entries) yield { ...entry, bytes: buffer.subarray(start, end) };
  }

  /** Gives the buffer back. */
  release(): void {
    this.#pool.release(this.#writer.buffer);
  }
}

/** An entry with a map without fields. */
const EMPTY_ENTRY = Uint8Array.of(0x92, 0xd7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80);

/** The bytes that a resource adds to an entry. */
export function resourceBytes(layout: Layout, pool: BufferPool, resource: Resource): number {
  const writer = new Writer(pool, 0);
  layout.complete?.(writer, EMPTY_ENTRY, EMPTY_ENTRY.length, resource);
  pool.release(writer.buffer);
  return Math.max(0, writer.position - EMPTY_ENTRY.length);
}
