import { BatchLogRecordProcessor, type LogRecordExporter, type LogRecordProcessor } from '@opentelemetry/sdk-logs';

/** A processor that exports soon, in batches of `maxExportBatchSize`. `Processor` is its class in the SDK line under test. */
export function batchProcessor(
  exporter: LogRecordExporter,
  maxExportBatchSize: number,
  Processor: typeof BatchLogRecordProcessor = BatchLogRecordProcessor,
): LogRecordProcessor {
  return new Processor({ exporter, maxExportBatchSize, maxQueueSize: 2_000, scheduledDelayMillis: 5 });
}
