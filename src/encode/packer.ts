import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import type { WallTime } from '../clock.ts';
import { type BufferPool, sizeClass } from './buffer-pool.ts';
import { Chunk, chunkId } from './chunk.ts';
import type { Group, Layout } from './layout/layout.ts';
import { messageOption, OPTION_BYTES, setPayloadBytes } from './message.ts';
import type { ValueWriter } from './value.ts';
import { TooLargeError, Writer } from './writer.ts';

export interface ChunkLimits {
  /** Bytes at which a chunk is cut. */
  readonly maxChunkBytes: number;
  /** Bytes that a chunk with a single record may have. */
  readonly ceilingBytes: number;
}

/** What becomes of the records of a batch. */
export interface Packed {
  readonly chunks: Chunk[];
  /** Counts a record that the layout left out. */
  filter(): void;
  /** Counts a record that could not be encoded because of `error`. */
  drop(error: unknown): void;
}

const NO_BYTES = new Uint8Array(0);
const NO_GROUP: Group = { key: '', header: NO_BYTES, end: NO_BYTES };

/** Packs records of one tag into chunks: group after group, record after record, and then {@link finish}. */
export class Packer {
  readonly #tag: string;
  readonly #prefix: Buffer;
  readonly #limits: ChunkLimits;
  readonly #layout: Layout;
  readonly #pool: BufferPool;
  readonly #packed: Packed;
  readonly #writer: Writer;
  readonly #values: ValueWriter;
  #group: Group = NO_GROUP;
  /** The most bytes that an entry of the group may take. */
  #maxEntryBytes = 0;
  /** The position behind an entry from which on it goes to the next chunk. */
  #cutPosition = 0;
  /** Whether the group's header is in the chunk, and its end still missing. */
  #isOpen = false;
  /** In the chunk so far; group markers are entries too. */
  #entries = 0;
  #records = 0;

  /** `prefix` is the `messagePrefix` of the tag, `bytes` what the records are expected to take. */
  constructor(
    tag: string,
    prefix: Buffer,
    bytes: number,
    { layout, limits, pool }: { layout: Layout; limits: ChunkLimits; pool: BufferPool },
    packed: Packed,
  ) {
    this.#tag = tag;
    this.#limits = limits;
    this.#layout = layout;
    this.#pool = pool;
    this.#packed = packed;
    this.#prefix = prefix;
    this.#writer = new Writer(pool, Math.min(prefix.length + bytes + OPTION_BYTES, limits.maxChunkBytes));
    this.#values = layout.values(this.#writer);
    this.#writer.raw(prefix);
    this.begin(NO_GROUP);
  }

  /** Ends the group before, if there was one: the records added from now on belong to `group`. */
  begin(group: Group): void {
    this.#close();
    this.#group = group;
    const { maxChunkBytes, ceilingBytes } = this.#limits;
    const { header, end } = group;
    this.#maxEntryBytes = ceilingBytes - this.#prefix.length - header.length - end.length - OPTION_BYTES;
    this.#cutPosition = maxChunkBytes - end.length - OPTION_BYTES;
  }

  /** Adds a record. One that cannot be encoded leaves no trace, not even an empty group. */
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
    else this.#pool.release(this.#writer.buffer);
  }

  /** Writes a record's entry, and tells whether all of it is there. */
  #write(record: ReadableLogRecord, now: WallTime): boolean {
    const writer = this.#writer;
    const limit = writer.position + this.#maxEntryBytes;
    writer.limit = limit;
    try {
      const isWritten = this.#layout.write(this.#values, record, now);
      if (writer.position > limit) throw new TooLargeError();
      if (!isWritten) this.#packed.filter();
      return isWritten;
    } catch (error) {
      this.#packed.drop(error);
      return false;
    }
  }

  /** Ends the chunk at `start`; the entry at `entry` begins the next one, in its group. */
  #cut(start: number, entry: number): void {
    const writer = this.#writer;
    const { header } = this.#group;
    const moved = writer.buffer.subarray(entry, writer.position);
    const beginning = this.#prefix.length + header.length;
    const next = this.#pool.acquire(beginning + moved.length + this.#group.end.length + OPTION_BYTES);
    next.set(this.#prefix);
    next.set(header, this.#prefix.length);
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

  /** Makes a chunk of what the writer holds, and leaves the writer's buffer to it. */
  #seal(): void {
    const writer = this.#writer;
    const id = chunkId();
    const prefixBytes = this.#prefix.length;
    const payloadBytes = writer.position - prefixBytes;
    setPayloadBytes(writer.buffer, prefixBytes, payloadBytes);
    const entries = this.#entries;
    this.#raw(messageOption({ size: entries, chunk: id }));
    // A guess that was too high must not hold memory until the ack.
    const fitting = sizeClass(writer.position);
    if (fitting < writer.buffer.length) writer.moveTo(this.#pool.acquire(fitting));
    const { buffer, position: length } = writer;
    const [tag, records, pool] = [this.#tag, this.#records, this.#pool];
    this.#packed.chunks.push(new Chunk({ id, tag, records, entries, prefixBytes, payloadBytes, length, buffer, pool }));
    this.#entries = 0;
    this.#records = 0;
  }

  /** Writes what no record's limit stands against. */
  #raw(bytes: Uint8Array): void {
    this.#writer.limit = Number.MAX_SAFE_INTEGER;
    this.#writer.raw(bytes);
  }
}

/** How many entries a group adds to those of its records. */
function markers({ header }: Group): 0 | 2 {
  return header.length > 0 ? 2 : 0;
}
