import type { Chunk } from '../encode/chunk.ts';
import type { FluentForwardConnectionError } from '../errors.ts';

/** A chunk that has to be sent on another connection. */
export interface Unacknowledged {
  readonly chunk: Chunk;
  /** Whether the chunk itself may be the reason: the receiver had to acknowledge it next. */
  readonly isSuspect: boolean;
}

export type ConnectionEvent =
  | {
      readonly kind: 'acknowledged';
      readonly chunk: Chunk;
      readonly latencyMillis: number;
      /** Whether it is the first ack on the connection. */
      readonly isFirst: boolean;
    }
  /** The connection takes no more chunks because of a fault. Late acks are still reported. */
  | {
      readonly kind: 'failed';
      readonly error: FluentForwardConnectionError;
      readonly unacknowledged: readonly Unacknowledged[];
    }
  /** `isFault`: the connection failed. If not, it drained, its owner closed it, or the server closed it unused. */
  | {
      readonly kind: 'closed';
      readonly error: FluentForwardConnectionError;
      readonly isFault: boolean;
      readonly unacknowledged: readonly Unacknowledged[];
    };
