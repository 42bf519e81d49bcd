import type { ExportErrorCode, FluentForwardConnectionError } from '../errors.ts';

/** A connection, as messages name it. */
export interface ConnectionInfo {
  /** Counts the connections of one exporter or processor, from 0. */
  readonly id: number;
  /** The endpoint that its address belongs to; `undefined` when it ended before it had one. */
  readonly endpoint: string | undefined;
  /** `host:port` or the socket's path; `undefined` when it ended before it had one. */
  readonly address: string | undefined;
}

/** A chunk, as messages name it. */
export interface ChunkInfo {
  /** The id of the Forward protocol, the same on every resend. */
  readonly id: string;
  readonly tag: string;
  readonly records: number;
  readonly bytes: number;
}

interface Message {
  /** The `name` of the exporter or processor. */
  readonly exporter: string;
}

interface ConnectionMessage extends Message {
  readonly connection: ConnectionInfo;
}

interface ChunkMessage extends Message {
  readonly chunk: ChunkInfo;
}

/** The `node:diagnostics_channel` channels of this package, with what is published in each. */
export interface FluentForwardChannels {
  /** A connection can take chunks: where they are wanted, TLS and the handshake are over. */
  'fluent-forward:connection:opened': ConnectionMessage & { readonly dialMillis: number };
  /** The first chunk on a connection is acknowledged. */
  'fluent-forward:connection:ready': ConnectionMessage;
  /** A connection has come to its end, perhaps without ever having been opened; `error` says why. */
  'fluent-forward:connection:closed': ConnectionMessage & { readonly error: FluentForwardConnectionError };
  /** A connection has taken the place of another, which gets no more chunks. */
  'fluent-forward:connection:rotated': Message & { readonly from: ConnectionInfo; readonly to: ConnectionInfo };
  /** A chunk is handed to a connection for the first time. */
  'fluent-forward:chunk:sent': ChunkMessage & ConnectionMessage;
  /** A chunk is handed to a connection once more; `error` is why it had no ack before. */
  'fluent-forward:chunk:resent': ChunkMessage & ConnectionMessage & { readonly error: FluentForwardConnectionError };
  /** A chunk is acknowledged, so many milliseconds after it was handed to this connection. */
  'fluent-forward:chunk:acknowledged': ChunkMessage & ConnectionMessage & { readonly latencyMillis: number };
  /**
   * A chunk is given up: by an exporter when its export fails, by a processor when it drops the chunk as `refused` or
   * `shut_down`, and by both when the process ends. `error` is the last fault that the chunk met with, if any.
   */
  'fluent-forward:chunk:failed': ChunkMessage & {
    readonly code: ExportErrorCode;
    readonly error: FluentForwardConnectionError | undefined;
  };
}
