import { SDK_0, SDK_3, type SdkLine } from '../../support/sdk-line.ts';

/** The lines with auto-instrumentations, loggers and their bridges. */
export const INSTRUMENTED_LINES: readonly SdkLine[] = [
  { ...SDK_3, home: 'test/integration/bridges/sdk-3' },
  { ...SDK_0, home: 'test/integration/bridges/sdk-0.223' },
];

export const INSTRUMENTED_PACKAGES = [
  '@msgpack/msgpack',
  '@opentelemetry/api',
  '@opentelemetry/api-logs',
  '@opentelemetry/auto-instrumentations-node',
  '@opentelemetry/instrumentation',
  '@opentelemetry/instrumentation-pino',
  '@opentelemetry/instrumentation-winston',
  '@opentelemetry/sdk-logs',
  '@opentelemetry/winston-transport',
  'pino',
  'winston',
];
