import type { Chunk } from '../encode/chunk.ts';
import type { PlainConfig } from './plain-config.ts';

/**
 * A pipeline, at the end of the process. {@link ProcessEnd} may belong to another copy of the package, so this is a part
 * of its interface.
 */
export interface Ending {
  /** The configured endpoints. */
  readonly endpoint: string;
  readonly exitTimeoutMillis: number;
  /** Records that it has got so far. */
  readonly emittedRecords: number;
  readonly heldRecords: number;
  /** Why nothing can be sent now, for messages. Undefined if it can. */
  readonly obstacle: string | undefined;
  /** The last fault of a connection, if there was no ack since. */
  readonly lastFault: string | undefined;
  /** Resolves when what it holds is settled, or after a time limit. */
  flush(): Promise<void>;
  /**
   * Seals the open chunks, and returns all that are not acknowledged. `isOver`: records that are being encoded never will
   * be, so that their chunks can be sealed too.
   */
  left(isOver: boolean): readonly Chunk[];
  /** What the worker thread needs in order to connect, if it has `budgetMillis` for everything. */
  configFor(budgetMillis: number): PlainConfig;
  /**
   * Settles the chunks: each is acknowledged, or it is lost. With `isOver`, records that are being encoded are lost too.
   * Returns how many records are lost.
   */
  settle(isAcknowledged: (chunkId: string) => boolean, isOver: boolean): number;
  /** Closes the connections. */
  hangUp(): void;
}
