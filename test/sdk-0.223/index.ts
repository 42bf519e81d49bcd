// The 0.2xx line of the SDK for tests elsewhere: what this folder resolves is not what the root resolves.
export { logs, SeverityNumber } from '@opentelemetry/api-logs';
export { resourceFromAttributes } from '@opentelemetry/resources';
export {
  BatchLogRecordProcessor,
  LoggerProvider,
  type LogRecordExporter,
  type ReadableLogRecord,
  SimpleLogRecordProcessor,
} from '@opentelemetry/sdk-logs';
export { MeterProvider, MetricReader } from '@opentelemetry/sdk-metrics';
