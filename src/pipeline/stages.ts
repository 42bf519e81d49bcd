import type { Compressor } from '../compress/compressor.ts';
import type { CarriedChunk, Carrier, ChunkOwner } from '../delivery/carrier.ts';
import type { ChunkInTransit } from '../delivery/chunk-in-transit.ts';
import type { Sender } from '../delivery/sender.ts';
import type { Chunk } from '../encode/chunk.ts';
import type { MemoryBound } from './memory.ts';

export interface StagesOptions {
  /** Undefined if chunks are sent uncompressed. */
  readonly compressor: Compressor | undefined;
  readonly sender: Sender;
  readonly memory: MemoryBound;
}

/** The stages of an encoded chunk: compress, then send. Each chunk counts towards the memory bound until it is settled. */
export class Stages implements Carrier {
  readonly #options: StagesOptions;

  constructor(options: StagesOptions) {
    this.#options = options;
  }

  carry(chunk: Chunk, owner: ChunkOwner): CarriedChunk {
    const staged = new StagedChunk(chunk, owner, this.#options);
    staged.start();
    return staged;
  }

  change(action: () => void): void {
    this.#options.sender.change(action);
  }

  close(): void {
    const { compressor, sender } = this.#options;
    compressor?.close();
    sender.close();
  }
}

type Stage =
  /** The first one, which chunks pass at once that are not compressed. */
  | { readonly name: 'compress' }
  | { readonly name: 'send'; readonly transit: ChunkInTransit }
  | { readonly name: 'settled' };

const COMPRESS: Stage = { name: 'compress' };
const SETTLED: Stage = { name: 'settled' };

class StagedChunk implements CarriedChunk, ChunkOwner {
  readonly #options: StagesOptions;
  readonly #owner: ChunkOwner;
  #chunk: Chunk;
  #stage: Stage = COMPRESS;
  /** The memory that is reserved for the compressed chunk, which takes no more than the raw one; 0 before it begins. */
  #reservedBytes = 0;

  constructor(chunk: Chunk, owner: ChunkOwner, options: StagesOptions) {
    this.#chunk = chunk;
    this.#owner = owner;
    this.#options = options;
  }

  get chunk(): Chunk {
    return this.#chunk;
  }

  get transit(): ChunkInTransit | undefined {
    return this.#stage.name === 'send' ? this.#stage.transit : undefined;
  }

  start(): void {
    const { compressor, memory } = this.#options;
    memory.hold(this.#chunk);
    if (compressor?.takes(this.#chunk)) this.#compress(compressor);
    else this.#send();
  }

  giveUp(): void {
    const { compressor, sender } = this.#options;
    switch (this.#stage.name) {
      case 'compress':
        compressor?.cancel(this.#chunk);
        this.#endReservation();
        break;
      case 'send':
        sender.giveUp(this.#stage.transit);
        break;
      case 'settled':
        return;
    }
    this.#settle();
  }

  #compress(compressor: Compressor): void {
    compressor.compress(this.#chunk, {
      started: () => this.#reserve(),
      done: (compressed) => this.#compressed(compressed),
    });
  }

  #reserve(): void {
    this.#reservedBytes = this.#chunk.heldBytes;
    this.#options.memory.reserve(this.#reservedBytes);
  }

  #compressed(compressed: Chunk | undefined): void {
    if (this.#stage.name === 'settled') {
      // The chunk was given up while a thread compressed it.
      compressed?.release();
      return;
    }
    this.#endReservation();
    if (compressed !== undefined) this.#replace(compressed);
    this.#send();
  }

  #endReservation(): void {
    this.#options.memory.free(this.#reservedBytes);
  }

  #replace(compressed: Chunk): void {
    const { memory } = this.#options;
    memory.hold(compressed);
    memory.release(this.#chunk);
    this.#chunk = compressed;
  }

  #send(): void {
    const { sender } = this.#options;
    sender.change(() => {
      this.#stage = { name: 'send', transit: sender.send(this.#chunk, this) };
    });
  }

  acknowledged(): void {
    this.#settle();
    this.#owner.acknowledged();
  }

  refused(sent: Chunk): void {
    this.#owner.refused(sent);
  }

  #settle(): void {
    this.#stage = SETTLED;
    this.#options.memory.release(this.#chunk);
  }
}
