import { APPLICATION, HERE, requireFrom } from './modules.ts';

/** The packages of the installed SDK. */
export interface Sdk {
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

export function findSdk(): Sdk | undefined {
  const logs = requireFrom<Sdk['logs']>([HERE, APPLICATION], SDK_LOGS);
  if (logs === undefined) return undefined;
  // A dependency of sdk-logs, and not of this package.
  const resources = requireFrom<Sdk['resources']>([logs.path], '@opentelemetry/resources');
  if (resources === undefined) throw new Error(`${logs.path} finds no @opentelemetry/resources`);
  // Loggers that were got before the registration work through the copy that registers only: it is the application's.
  const apiLogs = requireFrom<ApiLogs>([APPLICATION, HERE, logs.path], '@opentelemetry/api-logs');
  return { logs: logs.exports, resources: resources.exports, apiLogs: apiLogs?.exports };
}
