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

/** Brings chunks to their acks. A chunk belongs to the carrier, which releases it when it is settled. */
export interface Carrier {
  /** Carries the chunk until it is acknowledged or given up. Calls `onAcknowledged` if a receiver acknowledges it. */
  carry(chunk: Chunk, onAcknowledged: () => void): CarriedChunk;
  /** Runs `action`, and hands chunks to connections only at its end. */
  change(action: () => void): void;
}
