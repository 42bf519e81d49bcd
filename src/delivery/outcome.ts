import type { Chunk } from '../encode/chunk.ts';
import type { ExportErrorCode, FluentForwardConnectionError } from '../errors.ts';
import type { Volume } from '../stats.ts';

/** How an export ended. */
export type Outcome =
  | { readonly kind: 'acknowledged' }
  | ({
      readonly kind: 'failed';
      readonly acknowledgedRecords: number;
      /** What is not acknowledged. */
      readonly failed: Volume;
      readonly cause: FluentForwardConnectionError | undefined;
    } & FailureReason);

export type FailureReason =
  | FlushTimeout
  /** `chunk`: one that receivers took and did not acknowledge, if the export failed because of that. */
  | (ExportTimeout & { readonly chunk?: Chunk })
  | { readonly code: Extract<ExportErrorCode, 'FLUENT_FORWARD_CHUNK_REFUSED'>; readonly chunk: Chunk };

export interface ExportTimeout {
  readonly code: Extract<ExportErrorCode, 'FLUENT_FORWARD_TIMEOUT'>;
}

/** `limit`: whether there was no ack for `millis`, or the whole flush took so long. */
export interface FlushTimeout {
  readonly code: Extract<ExportErrorCode, 'FLUENT_FORWARD_FLUSH_TIMEOUT'>;
  readonly limit: 'no ack' | 'whole flush';
  readonly millis: number;
}
