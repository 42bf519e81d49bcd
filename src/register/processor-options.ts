import type { BatchLogRecordProcessorOptions } from '@opentelemetry/sdk-logs';
import type { Variables } from './variables.ts';

/** `OTEL_BLRP_*`, which BatchLogRecordProcessor does not read itself; the fallbacks are those of the specification. */
export function readProcessorOptions(variables: Variables): Omit<BatchLogRecordProcessorOptions, 'exporter'> {
  return {
    scheduledDelayMillis: variables.integer('OTEL_BLRP_SCHEDULE_DELAY', 0, 1_000),
    exportTimeoutMillis: variables.integer('OTEL_BLRP_EXPORT_TIMEOUT', 1, 30_000),
    maxQueueSize: variables.integer('OTEL_BLRP_MAX_QUEUE_SIZE', 1, 2_048),
    maxExportBatchSize: variables.integer('OTEL_BLRP_MAX_EXPORT_BATCH_SIZE', 1, 512),
  };
}
