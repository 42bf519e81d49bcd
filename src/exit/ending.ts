import type { Chunk } from '../encode/chunk.ts';
import type { PlainConfig } from './plain-config.ts';

/**
 * A pipeline, at the end of the process. The process-wide object may belong to another copy of the package: whoever
 * changes this interface also changes the key of that object.
 */
export interface Ending {
  /** The configured endpoints. */
  readonly endpoint: string;
  readonly exitTimeoutMillis: number;
  /** Records that it has got so far. */
  readonly emittedRecords: number;
  readonly heldRecords: number;
  /** Whether the last dial to every address has just failed. */
  readonly isUnreachable: boolean;
  /** The last fault of a connection, if there was no ack since. */
  readonly lastFault: string | undefined;
  /** Resolves when what it holds is settled, or after a time limit. */
  flush(): Promise<void>;
  /** Closes what still takes records. Returns all chunks that are not acknowledged. */
  left(): readonly Chunk[];
  /** What the worker thread needs in order to connect, if it has `budgetMillis` for everything. */
  configFor(budgetMillis: number): PlainConfig;
  /** Settles all that it holds: chunks are acknowledged, or they are lost. Returns how many records are lost. */
  settle(isAcknowledged: (chunkId: string) => boolean): number;
  /** Closes the connections. */
  close(): void;
}
