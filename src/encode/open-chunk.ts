import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import type { WallTime } from '../clock.ts';
import { SeverityCounts } from '../severity.ts';
import type { BufferPool } from './buffer-pool.ts';
import type { Chunk } from './chunk.ts';
import { type Group, type Layout, markers, NO_GROUP } from './layout/layout.ts';
import { messagePrefix, OPTION_BYTES } from './message.ts';
import type { ChunkLimits } from './packer.ts';
import type { Resource } from './resource.ts';
import type { Scope } from './scope.ts';
import { seal } from './seal.ts';
import { Section } from './section.ts';
import { TooLargeError, type Writer } from './writer.ts';

export interface OpenChunkOptions {
  readonly tag: string;
  readonly layout: Layout;
  readonly pool: BufferPool;
  readonly limits: ChunkLimits;
  /** The size of the first buffer. */
  readonly bytes: number;
  /** On the clock. */
  readonly openedAt: number;
}

/** `overflow`: the entry would make the chunk too large. {@link OpenChunk.moveLastTo} takes it to the next chunk. */
export type Added = 'added' | 'filtered' | 'overflow';

const NO_PREFIX = new Uint8Array(0);
const SMALLEST_BUFFER_BYTES = 1024;

/** A chunk that still takes records of one tag. */
export class OpenChunk {
  readonly tag: string;
  readonly openedAt: number;
  readonly severities: SeverityCounts = new SeverityCounts();
  readonly #options: OpenChunkOptions;
  readonly #prefix: Buffer;
  readonly #sections = new Map<string, Section>();
  /** The section that was written to last. Invariant: undefined if there are no sections. */
  #last: Section | undefined;
  /** The size of the message, if it was sealed now. */
  #bytes: number;
  #heldBytes = 0;

  constructor(options: OpenChunkOptions) {
    this.tag = options.tag;
    this.openedAt = options.openedAt;
    this.#options = options;
    this.#prefix = messagePrefix(options.tag);
    this.#bytes = this.#prefix.length + OPTION_BYTES;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get records(): number {
    return this.severities.total;
  }

  /** The number of buffers, or 1 if there are none yet. */
  get buffers(): number {
    return Math.max(1, this.#sections.size);
  }

  /** The memory that the chunk uses. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** Adds a record with `resource` in place of its own. Throws if it cannot be encoded. */
  add(record: ReadableLogRecord, severityNumber: unknown, now: WallTime, resource: Resource | undefined): Added {
    const section = this.#sectionOf(resource, record.instrumentationScope);
    const { heldBytes } = section;
    try {
      if (!section.write(this.#maxEntryBytes(section), record, now, resource)) return 'filtered';
    } finally {
      this.#heldBytes += section.heldBytes - heldBytes;
    }
    return this.#take(section, severityNumber);
  }

  /** Adds an entry that `write` writes. Throws a {@link TooLargeError} if it is too large for any message. */
  append(group: Group, severityNumber: unknown, write: (writer: Writer) => void): Added {
    const section = this.#sectionFor(group);
    const { heldBytes } = section;
    try {
      section.append(write);
    } finally {
      this.#heldBytes += section.heldBytes - heldBytes;
    }
    if (section.lastBytes > this.#maxEntryBytes(section)) throw new TooLargeError();
    return this.#take(section, severityNumber);
  }

  /** Moves the entry that was written last. To be called if it did not fit in here. */
  moveLastTo(next: OpenChunk, severityNumber: unknown): void {
    const section = this.#last as Section;
    const entry = section.lastEntry;
    next.append(section.group, severityNumber, (writer) => writer.raw(entry));
  }

  /** Makes the chunk. Returns undefined if it has no records. */
  seal(): Chunk | undefined {
    const { pool } = this.#options;
    const [first, ...others] = this.#sections.values();
    if (first === undefined || this.records === 0) {
      this.release();
      return undefined;
    }
    if (first.records > 0) first.close();
    else first.writer.position = this.#prefix.length;
    let entries = entriesOf(first);
    for (const other of others) {
      if (other.records > 0) this.#join(first, other);
      entries += entriesOf(other);
      pool.release(other.writer.buffer);
    }
    const { tag, records } = this;
    return seal(first.writer, { tag, prefixBytes: this.#prefix.length, entries, records, pool });
  }

  /** Gives the buffers back. The records are lost. */
  release(): void {
    for (const { writer } of this.#sections.values()) this.#options.pool.release(writer.buffer);
  }

  #join({ writer }: Section, other: Section): void {
    other.close();
    writer.limit = Number.MAX_SAFE_INTEGER;
    writer.raw(other.writer.buffer.subarray(0, other.writer.position));
  }

  #take(section: Section, severityNumber: unknown): Added {
    const added = section.lastBytes + (section.records === 0 ? around(section.group) : 0);
    if (this.records > 0 && this.#bytes + added > this.#options.limits.maxChunkBytes) return 'overflow';
    this.#bytes += added;
    section.take();
    this.severities.add(severityNumber);
    return 'added';
  }

  #sectionOf(resource: Resource | undefined, scope: Scope | undefined): Section {
    const { layout } = this.#options;
    return this.#sectionFor(layout.groupOf === undefined ? NO_GROUP : layout.groupOf(resource, scope));
  }

  #sectionFor(group: Group): Section {
    if (this.#last?.group === group) return this.#last;
    let section = this.#sections.get(group.key);
    if (section === undefined) {
      section = this.#open(group);
      this.#sections.set(group.key, section);
      this.#heldBytes += section.heldBytes;
    }
    this.#last = section;
    return section;
  }

  #open(group: Group): Section {
    const { layout, pool, bytes } = this.#options;
    const isFirst = this.#sections.size === 0;
    return new Section({
      group,
      layout,
      pool,
      prefix: isFirst ? this.#prefix : NO_PREFIX,
      bytes: isFirst ? bytes : SMALLEST_BUFFER_BYTES,
    });
  }

  /** The most bytes that an entry may take. */
  #maxEntryBytes({ group }: Section): number {
    return this.#options.limits.ceilingBytes - this.#prefix.length - around(group) - OPTION_BYTES;
  }
}

/** The size of the entries around those of a group. */
function around({ header, end }: Group): number {
  return header.length + end.length;
}

function entriesOf({ group, records }: Section): number {
  return records === 0 ? 0 : records + markers(group);
}
