import { messageOf } from '../errors.ts';
import { APPLICATION, HERE, load, requireFrom, resolveFrom, versionOf } from './modules.ts';
import { isInRange, SDK_VERSIONS } from './sdk-versions.ts';

/** The packages of the installed SDK, and the APIs through which the application uses it. */
export interface Sdk {
  readonly api: typeof import('@opentelemetry/api');
  readonly logs: typeof import('@opentelemetry/sdk-logs');
  readonly resources: typeof import('@opentelemetry/resources');
  /** Absent from an application on SDK 3.x that logs through `@opentelemetry/api` alone. */
  readonly apiLogs: ApiLogs | undefined;
}

/** The part of a logs API that registers a provider. */
export interface ApiLogs {
  readonly logs: { setGlobalLoggerProvider(provider: object): unknown };
}

export const SDK_LOGS = '@opentelemetry/sdk-logs';

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
/** SDK 3.x asks for Node.js 22.15. */
const LINE = major > 22 || (major === 22 && minor >= 15) ? ['3', '1.10'] : ['0.223', '1.9'];
export const INSTALL_COMMAND: string = `npm install ${SDK_LOGS}@${LINE[0]} @opentelemetry/api@${LINE[1]}`;

/** Loads the SDK. If there is none to use, it returns the reason. A version that is not supported is not loaded. */
export function findSdk(): Sdk | string {
  const path = resolveFrom([HERE, APPLICATION], SDK_LOGS);
  if (path === undefined) return `${SDK_LOGS} is not installed`;
  const version = versionOf(path, SDK_LOGS);
  if (version !== undefined && !isInRange(version, SDK_VERSIONS)) {
    return `${SDK_LOGS} ${version} is installed, and ${SDK_VERSIONS.replace('||', 'or')} is needed`;
  }
  try {
    return loadSdk(path);
  } catch (error) {
    return `${SDK_LOGS} ${version ?? `at ${path}`} cannot be loaded: ${messageOf(error)}`;
  }
}

function loadSdk(path: string): Sdk {
  const logs = load<Sdk['logs']>(path);
  // A dependency of sdk-logs, and not of this package.
  const resources = requireFrom<Sdk['resources']>([path], '@opentelemetry/resources');
  if (resources === undefined) throw new Error(`${path} finds no @opentelemetry/resources`);
  // Of two versions of the API, what one registers the other may not see: the application logs through its own.
  const api = requireFrom<Sdk['api']>([APPLICATION, HERE], '@opentelemetry/api') as Sdk['api'];
  // Loggers that were got before the registration work through the copy that registers only: it is the application's.
  const apiLogs = requireFrom<ApiLogs>([APPLICATION, HERE, path], '@opentelemetry/api-logs');
  return { api, logs, resources, apiLogs };
}
