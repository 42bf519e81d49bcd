import type { ExporterConfig } from './config/config.ts';
import type { FailureReason } from './delivery/outcome.ts';
import { describeRefusal, describeSilence } from './delivery/unacknowledged.ts';
import type { Refusal } from './pipeline/pipeline.ts';

/** Why an export was refused or failed, in words. */
export function describeFailure(
  reason: Refusal | FailureReason,
  { timeoutMillis }: Pick<ExporterConfig, 'timeoutMillis'>,
): string {
  switch (reason.code) {
    case 'FLUENT_FORWARD_SHUT_DOWN':
      return 'the exporter is shut down; await forceFlush() before shutdown()';
    case 'FLUENT_FORWARD_IN_FLIGHT_LIMIT':
      return `${reason.usedBytes} bytes already wait for their acks (maxInFlightBytes is ${reason.limitBytes})`;
    case 'FLUENT_FORWARD_FLUSH_TIMEOUT':
      if (reason.limit === 'whole flush') return `a flush takes at most ${reason.millis} ms`;
      return `no ack within the ${reason.millis} ms for a flush (flushTimeoutMillis)`;
    case 'FLUENT_FORWARD_TIMEOUT': {
      const silence = reason.chunk === undefined ? '' : `; ${describeSilence(reason.chunk)}`;
      return `no ack within ${timeoutMillis} ms (timeoutMillis)${silence}`;
    }
    case 'FLUENT_FORWARD_CHUNK_REFUSED':
      return describeRefusal(reason.chunk);
  }
}
