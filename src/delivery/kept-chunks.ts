import type { Chunk } from '../encode/chunk.ts';
import type { SeverityCounts } from '../severity.ts';
import type { CarriedChunk, Carrier } from './carrier.ts';
import type { Flushable } from './flush.ts';
import type { FlushTimeout } from './outcome.ts';

/** A chunk that is kept until it is settled. */
export interface KeptChunk {
  readonly carried: CarriedChunk;
  readonly severities: SeverityCounts;
}

export interface KeptChunksOptions {
  readonly carrier: Carrier;
  /** Receivers refuse the chunk, which is to be given up. `sent`: what they refuse. */
  readonly onRefused: (chunk: KeptChunk, sent: Chunk) => void;
  /** A flush ends before these chunks are settled. */
  readonly onFlushTimeout: (late: readonly KeptChunk[], timeout: FlushTimeout) => void;
}

/** Chunks without a deadline: each is sent again until it is acknowledged, or until it is certain that it is refused. */
export class KeptChunks implements Flushable<KeptChunk> {
  readonly #options: KeptChunksOptions;
  readonly #kept = new Set<KeptChunk>();
  readonly #listeners = new Set<(ended: KeptChunk) => void>();

  constructor(options: KeptChunksOptions) {
    this.#options = options;
  }

  get inFlight(): ReadonlySet<KeptChunk> {
    return this.#kept;
  }

  keep(chunk: Chunk, severities: SeverityCounts): void {
    const { carrier } = this.#options;
    carrier.change(() => {
      const carried = carrier.carry(chunk, {
        acknowledged: () => this.#end(kept),
        refused: (sent) => this.#options.onRefused(kept, sent),
      });
      const kept: KeptChunk = { carried, severities };
      this.#kept.add(kept);
    });
  }

  onEnded(listener: (ended: KeptChunk) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  flushTimedOut(late: readonly KeptChunk[], timeout: FlushTimeout): 'kept' {
    this.#options.onFlushTimeout(late, timeout);
    return 'kept';
  }

  /** Sends a chunk no more. */
  giveUp(kept: KeptChunk): void {
    // First, because the rest can call code of the application, which may shut down and give up all chunks.
    this.#kept.delete(kept);
    this.#options.carrier.change(() => kept.carried.giveUp());
    this.#end(kept);
  }

  /** Sends no chunk any more. Calls `each` just before it gives a chunk up. */
  giveUpAll(each: (kept: KeptChunk) => void): void {
    this.#options.carrier.change(() => {
      for (const kept of this.#kept) {
        each(kept);
        this.giveUp(kept);
      }
    });
  }

  #end(kept: KeptChunk): void {
    this.#kept.delete(kept);
    for (const listener of this.#listeners) listener(kept);
  }
}
