import { COMPARE_SIZES } from '../delivery/unacknowledged.ts';
import type { DropReason } from '../stats.ts';

export interface DropReasonText {
  /** What happened to the records. */
  readonly what: (maxInFlightBytes: number | string) => string;
  /** What to do about it. */
  readonly remedy: string;
  /** Whether the last fault of a connection can be the cause. */
  readonly hasFault: boolean;
}

const MORE_MEMORY = 'is the receiver up and fast enough? If it is, raise maxInFlightBytes';
const MORE_DISK = 'is the receiver up and fast enough?';

/** The table of the reasons for which a processor drops records, in words. */
export const DROP_REASONS: Readonly<Record<DropReason, DropReasonText>> = {
  shed: {
    what: (bytes) => `maxInFlightBytes (${bytes}) is three quarters full, and their severity is below WARN`,
    remedy: MORE_MEMORY,
    hasFault: true,
  },
  memory: {
    what: (bytes) => `maxInFlightBytes (${bytes}) is reached`,
    remedy: MORE_MEMORY,
    hasFault: true,
  },
  unencodable: {
    what: () => 'they cannot be encoded',
    remedy: 'correct the code that logs them, or the layout function',
    hasFault: false,
  },
  refused: {
    what: () => 'receivers refuse them',
    remedy: COMPARE_SIZES,
    hasFault: false,
  },
  no_endpoint: {
    what: () => 'no endpoint is configured that can be used',
    remedy: 'correct endpoint or OTEL_EXPORTER_FLUENT_FORWARD_ENDPOINT',
    hasFault: false,
  },
  shut_down: {
    what: () => 'they came after shutdown(), or were not acknowledged when it ended',
    remedy: 'call shutdown() last, and see whether the receiver is up',
    hasFault: true,
  },
  process_end: {
    what: () => 'the process ended before they were acknowledged',
    remedy: 'is the receiver up? If it is slow, raise exitTimeoutMillis',
    hasFault: true,
  },
  spool_full: {
    what: () => 'the spool is full',
    remedy: `${MORE_DISK} If it is, raise spool.maxBytes`,
    hasFault: true,
  },
  spool_age: {
    what: () => 'they were in the spool for longer than spool.maxAgeMillis',
    remedy: `${MORE_DISK} If it was down for longer, raise spool.maxAgeMillis`,
    hasFault: true,
  },
};
