import type { DropReason } from '../stats.ts';

export interface DropReasonText {
  /** What happened to the records. */
  readonly what: (maxInFlightBytes: number | string) => string;
  /** What to do about it. */
  readonly remedy: string;
}

const MORE_MEMORY = 'is the receiver up and fast enough? If it is, raise maxInFlightBytes';
const MORE_DISK = 'is the receiver up and fast enough?';

/** The table of the reasons for which a processor drops records, in words. */
export const DROP_REASONS: Readonly<Record<DropReason, DropReasonText>> = {
  shed: {
    what: (bytes) => `maxInFlightBytes (${bytes}) is three quarters full, and their severity is below WARN`,
    remedy: MORE_MEMORY,
  },
  memory: {
    what: (bytes) => `maxInFlightBytes (${bytes}) is reached`,
    remedy: MORE_MEMORY,
  },
  unencodable: {
    what: () => 'they cannot be encoded',
    remedy: 'correct the code that logs them, or the layout function',
  },
  refused: {
    what: () => 'receivers refuse them',
    remedy: 'compare chunk_size_limit (Fluentd) and buffer_max_size (Fluent Bit) with maxChunkBytes',
  },
  no_endpoint: {
    what: () => 'no endpoint is configured that can be used',
    remedy: 'correct endpoint or OTEL_EXPORTER_FLUENT_FORWARD_ENDPOINT',
  },
  shut_down: {
    what: () => 'they came after shutdown(), or were not acknowledged before it ended',
    remedy: 'log nothing after shutdown(); if that is so, is the receiver up?',
  },
  process_end: {
    what: () => 'the process ended before they were acknowledged',
    remedy: 'await shutdown() at the end of the process',
  },
  spool_full: {
    what: () => 'the spool is full',
    remedy: `${MORE_DISK} If it is, raise spool.maxBytes`,
  },
  spool_age: {
    what: () => 'they were in the spool for longer than spool.maxAgeMillis',
    remedy: `${MORE_DISK} If it was down for longer, raise spool.maxAgeMillis`,
  },
};
