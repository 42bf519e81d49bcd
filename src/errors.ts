import { types } from 'node:util';
import { printable } from './printable.ts';

/** Why a batch failed: the `code` of a {@link FluentForwardExportError}. */
export type ExportErrorCode =
  /** `export()` was called after `shutdown()`. */
  | 'FLUENT_FORWARD_SHUT_DOWN'
  /** `maxInFlightBytes` was reached; nothing was encoded or sent. */
  | 'FLUENT_FORWARD_IN_FLIGHT_LIMIT'
  /** No record of the batch could be encoded. */
  | 'FLUENT_FORWARD_UNENCODABLE'
  /** `timeoutMillis` passed before every chunk was acknowledged. */
  | 'FLUENT_FORWARD_TIMEOUT'
  /** A `forceFlush()` or `shutdown()` got no ack for `flushTimeoutMillis`, or took 25 s. */
  | 'FLUENT_FORWARD_FLUSH_TIMEOUT'
  /** A chunk was sent again and again, and not acknowledged where later chunks were. */
  | 'FLUENT_FORWARD_CHUNK_REFUSED'
  /** The process ended, and what it sent at its end was not acknowledged in time. No callback gets this. */
  | 'FLUENT_FORWARD_PROCESS_END'
  /** A fault of the exporter itself; please report it. */
  | 'FLUENT_FORWARD_INTERNAL';

/** What happened to one connection: the `code` of a {@link FluentForwardConnectionError}. */
export type ConnectionErrorCode =
  | 'FLUENT_FORWARD_LOOKUP_FAILED'
  /** A certificate, a key or a secret of this client cannot be read or used, and there is none from before. */
  | 'FLUENT_FORWARD_CREDENTIALS_UNREADABLE'
  | 'FLUENT_FORWARD_CONNECT_FAILED'
  | 'FLUENT_FORWARD_CONNECT_TIMEOUT'
  /** No TLS with the server: its certificate does not hold, it refuses the client's, or it speaks none. */
  | 'FLUENT_FORWARD_TLS_FAILED'
  /** The server refuses the shared key or the user, or wants a shared key and none is set. */
  | 'FLUENT_FORWARD_AUTH_FAILED'
  /** The server does not prove that it knows the shared key. It is sent nothing. */
  | 'FLUENT_FORWARD_SERVER_UNTRUSTED'
  | 'FLUENT_FORWARD_CONNECTION_LOST'
  | 'FLUENT_FORWARD_ACK_TIMEOUT'
  | 'FLUENT_FORWARD_ACK_SKIPPED'
  | 'FLUENT_FORWARD_NOT_ACCEPTED'
  | 'FLUENT_FORWARD_BAD_ANSWER'
  | 'FLUENT_FORWARD_CLOSED';

/** Longer than the messages of this package, which pass through {@link messageOf} again where they are wrapped. */
const MAX_MESSAGE_CHARACTERS = 2_000;

/**
 * The message of an error as it may stand in another message: {@link printable}, cut at 2,000 characters.
 * An application can throw anything. Never throws.
 */
export function messageOf(error: unknown): string {
  try {
    // A message can be anything too.
    return printable(String(error instanceof Error ? error.message : error), MAX_MESSAGE_CHARACTERS);
  } catch {
    return 'what was thrown cannot be read';
  }
}

/**
 * Handles the promise of an `async` function of the application that was called as one that is not. Its rejection would
 * end the process.
 */
export function ignoreRejection(returned: unknown): void {
  if (types.isPromise(returned)) void Promise.allSettled([returned]);
}

/** A connection failed, or a chunk on it; found as the `cause` of a {@link FluentForwardExportError}. */
export class FluentForwardConnectionError extends Error {
  override readonly name = 'FluentForwardConnectionError';
  readonly code: ConnectionErrorCode;

  constructor(code: ConnectionErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}

/**
 * The error of a failed export result. Of `records` in the batch, `acknowledgedRecords` are with
 * a receiver; the others are lost unless they were acknowledged without the ack arriving.
 */
export class FluentForwardExportError extends Error {
  override readonly name = 'FluentForwardExportError';
  readonly code: ExportErrorCode;
  /** Records in the batch. */
  readonly records: number;
  /** Records of the batch that a receiver has acknowledged. */
  readonly acknowledgedRecords: number;
  /** The configured endpoints, with commas between them. */
  readonly endpoint: string;

  constructor(
    code: ExportErrorCode,
    message: string,
    batch: { records: number; acknowledgedRecords: number; endpoint: string; cause?: unknown },
  ) {
    super(message, batch.cause === undefined ? undefined : { cause: batch.cause });
    this.code = code;
    this.records = batch.records;
    this.acknowledgedRecords = batch.acknowledgedRecords;
    this.endpoint = batch.endpoint;
  }
}
