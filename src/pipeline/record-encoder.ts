import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import { DeferredEntries, type DeferredEntry } from '../encode/deferred-entries.ts';
import { NO_GROUP, UnencodableError } from '../encode/layout/layout.ts';
import type { Resource } from '../encode/resource.ts';
import { completeTag, type Tagger } from '../encode/tag.ts';
import type { SeverityCounts } from '../severity.ts';
import { OpenChunks, type OpenChunksOptions } from './open-chunks.ts';
import { PendingResources, type ResourceState } from './pending-resources.ts';

export interface RecordEncoderOptions extends OpenChunksOptions {
  readonly tag: string | Tagger;
  /** Whether anything of a record's resource is sent. If not, no record waits for it. */
  readonly usesResource: boolean;
  readonly warn: (cause: string, message: string) => void;
  /** A record that waited for its resource cannot be encoded. */
  readonly onUnencodable: (error: unknown, severityNumber: unknown) => void;
}

type WaitingState = Extract<ResourceState, { name: 'waiting' }>;

const NOT_SENT: ResourceState = { name: 'known', resource: { attributes: {} } as Resource };

/** A record that is logged while another one is encoded (by a getter, for example) is nested in it. */
const MAX_NESTING = 4;

/** Encodes each record into the open chunk of its tag. */
export class RecordEncoder {
  readonly #options: RecordEncoderOptions;
  /** By nesting, because a chunk to which an entry is being written cannot take another one. */
  readonly #open: OpenChunks[] = [];
  readonly #resources: PendingResources;
  #nesting = 0;

  constructor(options: RecordEncoderOptions) {
    this.#options = options;
    const { clock, layout, pool, warn } = options;
    const onKnown = (entries: Iterable<DeferredEntries>, resource: Resource) => this.#complete(entries, resource);
    this.#resources = new PendingResources({ clock, layout, pool, warn, onKnown });
  }

  /** Encodes a record at once. Returns false if it is left out. Throws if it cannot be encoded. */
  encode(record: ReadableLogRecord, severityNumber: unknown): boolean {
    const nesting = this.#nesting;
    if (nesting === MAX_NESTING) {
      throw new UnencodableError('records are logged while others are encoded, and are nested too deep');
    }
    const open = this.#openAt(nesting);
    const state = this.#options.usesResource ? this.#resources.of(record.resource) : NOT_SENT;
    this.#nesting++;
    try {
      switch (state.name) {
        case 'complete':
          return open.add(this.#tagOf(record, record.resource), record, severityNumber, record.resource);
        case 'known':
          return open.add(this.#tagOf(record, state.resource), record, severityNumber, state.resource);
        case 'waiting':
          return this.#defer(record, severityNumber, state, nesting);
      }
    } finally {
      this.#nesting = nesting;
    }
  }

  /** Seals the chunks of all records that were encoded before. Waits until their resources are known. */
  async sealAll(): Promise<void> {
    await this.#resources.settled();
    await Promise.all(this.#open.map((open) => open.sealAll()));
  }

  /** How many records are being encoded. */
  get nesting(): number {
    return this.#nesting;
  }

  /**
   * Seals chunks in this turn, with what is known of the resources. `isOver`: also those into which a record is being
   * encoded, because that will never end.
   */
  sealNow(isOver: boolean): void {
    this.#resources.giveUpAll('the process ends');
    for (const open of this.#open.slice(isOver ? 0 : this.#nesting)) open.sealNow();
  }

  /** Takes no more records. Returns the counts of the records that are in no sealed chunk. */
  discard(): readonly SeverityCounts[] {
    const deferred = this.#resources.discard();
    for (const each of deferred) this.#release(each);
    return [...deferred.map(({ severities }) => severities), ...this.#open.flatMap((open) => open.discard())];
  }

  #openAt(nesting: number): OpenChunks {
    while (this.#open.length <= nesting) this.#open.push(new OpenChunks(this.#options));
    return this.#open[nesting] as OpenChunks;
  }

  #tagOf(record: ReadableLogRecord, resource: Resource): string {
    const { tag } = this.#options;
    return typeof tag === 'string' ? tag : tag.tagOf(record, resource);
  }

  #defer(record: ReadableLogRecord, severityNumber: unknown, waiting: WaitingState, nesting: number): boolean {
    const { clock, memory, tag } = this.#options;
    const deferredTag = typeof tag === 'string' ? tag : tag.deferredTagOf(record);
    const entries = this.#entriesFor(waiting, nesting);
    const before = entries.heldBytes;
    try {
      return entries.add(record, severityNumber, deferredTag, clock.wallTime());
    } finally {
      memory.reserve(entries.heldBytes - before);
    }
  }

  #entriesFor({ entries, resourceBytes }: WaitingState, nesting: number): DeferredEntries {
    const last = entries.findLast((each) => each.nesting === nesting);
    if (last !== undefined && !last.isFull) return last;
    const { layout, memory, pool } = this.#options;
    const next = new DeferredEntries({ layout, pool, resourceBytes, nesting });
    memory.reserve(next.heldBytes);
    entries.push(next);
    return next;
  }

  /** Puts entries whose resource is known now into open chunks. */
  #complete(waiting: Iterable<DeferredEntries>, resource: Resource): void {
    const nesting = this.#nesting;
    // The values of a resource can be code of the application.
    this.#nesting++;
    try {
      for (const entries of waiting) {
        // The chunks of lower levels are being written to.
        const open = this.#openAt(Math.max(nesting, entries.nesting));
        for (const entry of entries) this.#append(open, entry, resource);
        this.#release(entries);
      }
    } finally {
      this.#nesting = nesting;
    }
  }

  #append(open: OpenChunks, { tag, scope, severityNumber, bytes, gap }: DeferredEntry, resource: Resource): void {
    const { layout, onUnencodable } = this.#options;
    try {
      const group = layout.groupOf?.(resource, scope) ?? NO_GROUP;
      open.append(completeTag(tag, resource), group, severityNumber, (writer) =>
        layout.complete?.(writer, bytes, gap, resource),
      );
    } catch (error) {
      onUnencodable(error, severityNumber);
    }
  }

  #release(entries: DeferredEntries): void {
    this.#options.memory.free(entries.heldBytes);
    entries.release();
  }
}
