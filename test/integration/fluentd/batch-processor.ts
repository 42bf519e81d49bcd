import { BatchLogRecordProcessor, type LogRecordExporter, type LogRecordProcessor } from '@opentelemetry/sdk-logs';

/** Longer than any deadline of an exporter: the processor must not give an export up before its exporter does. */
const EXPORT_TIMEOUT_MILLIS = 1_200_000;

/** A processor that exports soon, in batches of `maxExportBatchSize`. `Processor` is the class of another SDK line. */
export function batchProcessor(
  exporter: LogRecordExporter,
  maxExportBatchSize: number,
  Processor: typeof BatchLogRecordProcessor = BatchLogRecordProcessor,
): LogRecordProcessor {
  return new Processor({
    exporter,
    maxExportBatchSize,
    maxQueueSize: 2_000,
    scheduledDelayMillis: 5,
    exportTimeoutMillis: EXPORT_TIMEOUT_MILLIS,
  });
}
