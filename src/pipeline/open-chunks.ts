import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import { cleanRunner, inCleanContext } from '../clean-context.ts';
import type { Clock, Timer } from '../clock.ts';
import type { BufferPool } from '../encode/buffer-pool.ts';
import type { Chunk } from '../encode/chunk.ts';
import type { Group, Layout } from '../encode/layout/layout.ts';
import { type Added, OpenChunk } from '../encode/open-chunk.ts';
import type { ChunkLimits } from '../encode/packer.ts';
import type { Resource } from '../encode/resource.ts';
import type { Writer } from '../encode/writer.ts';
import type { SeverityCounts } from '../severity.ts';
import type { MemoryBound } from './memory.ts';

export interface OpenChunksOptions {
  readonly layout: Layout;
  readonly pool: BufferPool;
  readonly limits: ChunkLimits;
  readonly memory: MemoryBound;
  readonly clock: Clock;
  /** The age at which a chunk is sealed. */
  readonly scheduledDelayMillis: number;
  readonly onSealed: (chunk: Chunk, severities: SeverityCounts) => void;
  /** The records of a chunk are lost. */
  readonly onLost: (severities: SeverityCounts, error: unknown) => void;
}

/** A chunk of this size is sealed. Larger chunks use more memory, and smaller ones more time. */
const TARGET_BYTES = 900_000;
/** So many chunks fit in the memory bound at least. The number keeps the target below the size of a buffer. */
const MIN_CHUNKS_IN_MEMORY = 18;
/** The part of `maxChunkBytes` that the target may be, for the same reason. */
const MAX_PART_OF_CHUNK = 0.9;
/**
 * The most buffers that open chunks have: one for each tag, and with the layout `otlp` for each group of a tag. Records
 * that are logged while others are encoded have as many for themselves.
 */
const MAX_OPEN_BUFFERS = 64;
/** Timers of Node.js fire up to a millisecond early. */
const TIMER_PRECISION_MILLIS = 1;

/** The chunks that take records, one for each tag. Seals them in a later turn than the one in which they got records. */
export class OpenChunks {
  readonly #options: OpenChunksOptions;
  readonly #targetBytes: number;
  /** By tag, in the order in which they were opened. */
  readonly #open = new Map<string, OpenChunk>();
  /** Chunks that take no more records, in the order in which they will be sealed. */
  readonly #closed: OpenChunk[] = [];
  /** The tag of the last chunk that was closed because of its size. The next one will probably be as large. */
  #busyTag: string | undefined;
  #buffers = 0;
  #isSealing = false;
  readonly #runClean = cleanRunner();
  #timer: Timer | undefined;

  constructor(options: OpenChunksOptions) {
    this.#options = options;
    const { limits, memory } = options;
    const largest = Math.min(limits.maxChunkBytes * MAX_PART_OF_CHUNK, memory.limitBytes / MIN_CHUNKS_IN_MEMORY);
    this.#targetBytes = Math.min(TARGET_BYTES, largest);
  }

  /** Adds a record, with `resource` in place of its own. Returns false if it is left out. Throws if it cannot be encoded. */
  add(tag: string, record: ReadableLogRecord, severityNumber: unknown, resource: Resource | undefined): boolean {
    const chunk = this.#chunkFor(tag);
    const { buffers, heldBytes } = chunk;
    let added: Added;
    try {
      added = chunk.add(record, severityNumber, this.#options.clock.wallTime(), resource);
    } finally {
      this.#count(chunk, buffers, heldBytes);
    }
    this.#place(chunk, added, severityNumber);
    return added !== 'filtered';
  }

  /** Adds an entry that `write` writes. Throws if it is too large for any message. */
  append(tag: string, group: Group, severityNumber: unknown, write: (writer: Writer) => void): void {
    const chunk = this.#chunkFor(tag);
    const { buffers, heldBytes } = chunk;
    let added: Added;
    try {
      added = chunk.append(group, severityNumber, write);
    } finally {
      this.#count(chunk, buffers, heldBytes);
    }
    this.#place(chunk, added, severityNumber);
  }

  /** Seals what is open now. Resolves when it is sealed. */
  async sealAll(): Promise<void> {
    for (const chunk of [...this.#open.values()]) this.#close(chunk);
    const last = this.#closed.at(-1);
    while (last !== undefined && this.#closed.includes(last)) {
      await new Promise<void>((resolve) => this.#options.clock.afterReads(resolve));
    }
  }

  /** Seals what is open, in this turn. */
  sealNow(): void {
    for (const chunk of [...this.#open.values()]) this.#close(chunk);
    while (this.#closed.length > 0) this.#sealNext();
  }

  /** Takes no more records. Returns the counts of the records that are not sealed. */
  discard(): readonly SeverityCounts[] {
    this.#timer?.cancel();
    const discarded = [...this.#closed.splice(0), ...this.#open.values()];
    this.#open.clear();
    for (const chunk of discarded) {
      this.#options.memory.free(chunk.heldBytes);
      chunk.release();
    }
    return discarded.map(({ severities }) => severities);
  }

  #chunkFor(tag: string): OpenChunk {
    return this.#open.get(tag) ?? this.#openChunk(tag);
  }

  #openChunk(tag: string): OpenChunk {
    const { clock, layout, limits, pool } = this.#options;
    const bytes = tag === this.#busyTag ? this.#targetBytes : 0;
    const chunk = new OpenChunk({ tag, layout, pool, limits, bytes, openedAt: clock.now() });
    this.#open.set(tag, chunk);
    this.#countBuffers(chunk.buffers);
    this.#schedule();
    return chunk;
  }

  /** Counts the memory and the buffers that a chunk has got. */
  #count(chunk: OpenChunk, buffersBefore: number, bytesBefore: number): void {
    if (chunk.heldBytes !== bytesBefore) this.#options.memory.reserve(chunk.heldBytes - bytesBefore);
    if (chunk.buffers !== buffersBefore) this.#countBuffers(chunk.buffers - buffersBefore);
  }

  /** Counts buffers, and closes the oldest chunks if there are too many. */
  #countBuffers(buffers: number): void {
    this.#buffers += buffers;
    for (const oldest of this.#open.values()) {
      if (this.#buffers <= MAX_OPEN_BUFFERS) return;
      this.#close(oldest);
    }
  }

  /** Closes the chunk if it is large enough. Puts an entry that does not fit in it into the next chunk. */
  #place(chunk: OpenChunk, added: Added, severityNumber: unknown): void {
    if (added === 'overflow') {
      this.#closeFull(chunk);
      const next = this.#openChunk(chunk.tag);
      chunk.moveLastTo(next, severityNumber);
      this.#count(next, next.buffers, 0);
      this.#place(next, 'added', severityNumber);
    } else if (chunk.bytes >= this.#targetBytes) this.#closeFull(chunk);
  }

  #closeFull(chunk: OpenChunk): void {
    this.#busyTag = chunk.tag;
    this.#close(chunk);
  }

  #close(chunk: OpenChunk): void {
    if (this.#open.get(chunk.tag) !== chunk) return;
    this.#open.delete(chunk.tag);
    this.#buffers -= chunk.buffers;
    this.#closed.push(chunk);
    this.#sealSoon();
  }

  /** Closes the chunks that are old enough, when the oldest one is. */
  #schedule(): void {
    const [oldest] = this.#open.values();
    if (this.#timer !== undefined || oldest === undefined) return;
    const { clock, scheduledDelayMillis } = this.#options;
    const millis = Math.max(0, oldest.openedAt + scheduledDelayMillis - clock.now());
    this.#timer = this.#runClean(() => clock.after(millis, () => this.#due()));
  }

  #due(): void {
    const { clock, scheduledDelayMillis } = this.#options;
    const openedBy = clock.now() - scheduledDelayMillis + TIMER_PRECISION_MILLIS;
    this.#timer = undefined;
    for (const chunk of this.#open.values()) {
      if (chunk.openedAt > openedBy) break;
      this.#close(chunk);
    }
    this.#schedule();
  }

  /** Seals the closed chunks, one in each turn, because sealing takes as long as emitting a hundred records. */
  #sealSoon(): void {
    if (this.#isSealing) return;
    this.#isSealing = true;
    this.#runClean(() => this.#options.clock.afterReads(this.#seal));
  }

  readonly #seal = () => {
    this.#isSealing = false;
    inCleanContext(() => this.#sealNext());
    if (this.#closed.length > 0) this.#sealSoon();
  };

  #sealNext(): void {
    const chunk = this.#closed.shift();
    if (chunk === undefined) return;
    const { memory, onLost, onSealed } = this.#options;
    const { heldBytes, severities } = chunk;
    let sealed: Chunk | undefined;
    try {
      sealed = chunk.seal();
    } catch (error) {
      onLost(severities, error);
    }
    memory.free(heldBytes);
    if (sealed !== undefined) onSealed(sealed, severities);
  }
}
