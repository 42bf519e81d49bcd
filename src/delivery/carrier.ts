import type { Chunk } from '../encode/chunk.ts';
import type { ChunkInTransit } from './chunk-in-transit.ts';

/** A chunk that is being compressed, or on its way to its ack. */
export interface CarriedChunk {
  /** The chunk that is sent, which is the compressed one as soon as there is one. */
  readonly chunk: Chunk;
  /** Undefined while the chunk is being compressed, and when it is settled. */
  readonly transit: ChunkInTransit | undefined;
  /** Sends the chunk no more. */
  giveUp(): void;
}

/** The owner of a chunk on its way. */
export interface ChunkOwner {
  /** A receiver has acknowledged the chunk. */
  acknowledged(): void;
  /**
   * Receivers refuse the chunk for certain. Called once. `sent` is what was sent, compressed or not. The chunk is sent
   * again, unless the owner gives it up.
   */
  refused(sent: Chunk): void;
}

/** Brings chunks to their acks. A chunk belongs to the carrier, which releases it when it is settled. */
export interface Carrier {
  /** Carries the chunk until it is acknowledged or given up. */
  carry(chunk: Chunk, owner: ChunkOwner): CarriedChunk;
  /** Runs `action`, and hands chunks to connections only at its end. */
  change(action: () => void): void;
}
