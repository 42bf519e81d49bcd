import * as sdk3 from '@opentelemetry/sdk-logs';
import * as sdk0 from '../sdk-0.223/index.ts';

type Sdk = Pick<typeof sdk3, 'BatchLogRecordProcessor' | 'LoggerProvider' | 'SimpleLogRecordProcessor'>;

/** Both lines of the SDK; their types differ in nothing that the tests use. */
export const SDKS: readonly (readonly [line: string, sdk: Sdk])[] = [
  ['3.x', sdk3],
  ['0.223', sdk0 as unknown as Sdk],
];
