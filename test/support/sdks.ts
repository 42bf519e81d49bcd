import { resourceFromAttributes } from '@opentelemetry/resources';
import {
  BatchLogRecordProcessor,
  LoggerProvider,
  type LogRecordExporter,
  type LogRecordProcessor,
  SimpleLogRecordProcessor,
} from '@opentelemetry/sdk-logs';
import { MeterProvider, MetricReader } from '@opentelemetry/sdk-metrics';
import * as older from '../sdk-0.223/index.ts';

const current = {
  BatchLogRecordProcessor,
  LoggerProvider,
  MeterProvider,
  MetricReader,
  SimpleLogRecordProcessor,
  resourceFromAttributes,
};
export type Sdk = typeof current;

interface SdkLine {
  readonly line: string;
  readonly sdk: Sdk;
}

/** Both lines of the SDK, for `describe.each`. */
export const SDK_LINES: readonly [SdkLine, SdkLine] = [
  { line: 'sdk-logs 3.x', sdk: current },
  // Its types differ in names only where these tests do not look.
  { line: 'sdk-logs 0.223', sdk: older as unknown as Sdk },
];

/** A processor that exports soon, in batches of `maxExportBatchSize`. */
export function batchProcessor(
  { BatchLogRecordProcessor }: Pick<Sdk, 'BatchLogRecordProcessor'>,
  exporter: LogRecordExporter,
  maxExportBatchSize: number,
): LogRecordProcessor {
  return new BatchLogRecordProcessor({ exporter, maxExportBatchSize, maxQueueSize: 2_000, scheduledDelayMillis: 5 });
}
