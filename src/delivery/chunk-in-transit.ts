import type { Timer } from '../clock.ts';
import type { Connection } from '../connection/connection.ts';
import type { Chunk } from '../encode/chunk.ts';
import type { FluentForwardConnectionError } from '../errors.ts';
import type { ChunkOwner } from './carrier.ts';
import type { Doubt, HandOver } from './doubt.ts';

/** What the sender does with a chunk at the moment. A state owns what ends with it. */
export type TransitState =
  /** Waits for a connection: it was not sent yet, or its postponement is over. */
  | { readonly name: 'queued' }
  /** Is on a connection, which has neither acknowledged it nor reported it as unacknowledged. */
  | { readonly name: 'sent'; readonly connection: Connection }
  /** Went unacknowledged with its connection. Goes before the queued chunks, once the backoff is over. */
  | { readonly name: 'retry' }
  /** May be refused. Waits on its own, longer each time, and is then queued behind the others. */
  | { readonly name: 'postponed'; readonly timer: Timer }
  /** Acknowledged or given up. Stays so. */
  | { readonly name: 'settled' };

export const QUEUED: TransitState = { name: 'queued' };
export const RETRY: TransitState = { name: 'retry' };
export const SETTLED: TransitState = { name: 'settled' };

/** Why a chunk had to be sent again. */
export interface TransitFault {
  readonly error: FluentForwardConnectionError;
  readonly at: number;
}

/** A connection that the chunk was handed to. */
export interface Attempt {
  readonly connection: Connection;
  readonly handOver: HandOver;
}

/** A chunk that the sender brings to its ack. */
export class ChunkInTransit {
  readonly chunk: Chunk;
  readonly doubt: Doubt;
  readonly owner: ChunkOwner;
  state: TransitState = QUEUED;
  /**
   * The connections that may still acknowledge the chunk. May contain closed connections; ignore them. An array, because
   * a map for each chunk costs a burst of small exports a tenth of its time.
   */
  attempts: readonly Attempt[] = [];
  lastFault: TransitFault | undefined;
  /** Whether the owner knows that the chunk is refused. */
  isReported = false;

  constructor(chunk: Chunk, doubt: Doubt, owner: ChunkOwner) {
    this.chunk = chunk;
    this.doubt = doubt;
    this.owner = owner;
  }

  /** The connection that the chunk is on. Undefined while the chunk waits for one. */
  get connection(): Connection | undefined {
    return this.state.name === 'sent' ? this.state.connection : undefined;
  }
}
