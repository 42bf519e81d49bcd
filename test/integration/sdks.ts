import { createRequire } from 'node:module';
import { resolveIn, SDK_0, SDK_3, type SdkLine } from '../support/sdk-line.ts';

const require = createRequire(import.meta.url);

type Logs = typeof import('@opentelemetry/sdk-logs');
type Resources = typeof import('@opentelemetry/resources');

/** The classes of one line of the SDK. The types of the two lines differ only where the tests do not look. */
export type Sdk = Pick<Logs, 'BatchLogRecordProcessor' | 'LoggerProvider' | 'SimpleLogRecordProcessor'> &
  Pick<Resources, 'resourceFromAttributes'>;

function load(line: SdkLine): Sdk {
  const logs: Logs = require(resolveIn(line, '@opentelemetry/sdk-logs'));
  const resources: Resources = require(resolveIn(line, '@opentelemetry/resources'));
  return { ...logs, ...resources };
}

/** Both lines of the SDK in one process, for tests that compare them. */
export const SDKS = [SDK_0, SDK_3].map((line) => ({ line: line.name, sdk: load(line) }));
