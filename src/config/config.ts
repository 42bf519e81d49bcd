import { type Checked, contradictions, exporterContradictions, resolvePair } from './contradictions.ts';
import type { Environment } from './env.ts';
import type {
  FluentForwardLogExporterOptions,
  FluentForwardLogRecordProcessorOptions,
  FluentForwardOptions,
} from './options.ts';
import { checkNames, resolveFields } from './rule.ts';
import {
  EXPORTER_RULES,
  type ExporterOnlyConfig,
  exitTimeoutRule,
  type GeneralConfig,
  levelRule,
  PROCESSOR_RULES,
  type ProcessorOnlyConfig,
  RULES,
  TLS_RULES,
  type TlsConfig,
} from './rules.ts';

/** The value of every option that exporter and processor share: from code, else from the environment, else the default. */
export interface Config extends GeneralConfig {
  readonly exitTimeoutMillis: number;
  readonly compressionLevel: number;
  readonly tls: TlsConfig;
}

/** What the connections need of it. */
export type ConnectionConfig = Pick<
  Config,
  | 'ackTimeoutMillis'
  | 'connections'
  | 'connectTimeoutMillis'
  | 'endpoint'
  | 'hostname'
  | 'maxInFlightChunks'
  | 'password'
  | 'resolver'
  | 'rotationIntervalMillis'
  | 'sharedKey'
  | 'tls'
  | 'username'
>;

export interface ExporterConfig extends Config, ExporterOnlyConfig {}

export interface ProcessorConfig extends Config, ProcessorOnlyConfig {}

type Warn = (message: string) => void;

/**
 * Merges options, environment and defaults, field by field, in this order. A bad variable counts as unset, and `warn`
 * is called with the reason.
 * @throws TypeError for an unknown option or a value of the wrong type, RangeError for a value that is not allowed.
 */
export function resolveExporterConfig(
  options: FluentForwardLogExporterOptions,
  environment: Environment,
  warn: Warn,
): ExporterConfig {
  rejectOptionsOf(PROCESSOR_RULES, options, 'belongs to FluentForwardLogRecordProcessor, which holds records back');
  checkNames('', options, [...NAMES, ...Object.keys(EXPORTER_RULES)]);
  const { timeoutMillis, ...shared } = options;
  const own = resolveFields(EXPORTER_RULES, '', { timeoutMillis }, environment, warn);
  const config = { ...resolveShared(shared, environment, warn), ...own };
  return checked(config, [...exporterContradictions(config), ...contradictions(config)], warn);
}

/** Merges the options of the processor, as {@link resolveExporterConfig} does. */
export function resolveProcessorConfig(
  options: FluentForwardLogRecordProcessorOptions,
  environment: Environment,
  warn: Warn,
): ProcessorConfig {
  const reason =
    'belongs to FluentForwardLogExporter; the processor has no deadline, and sends records until they are acknowledged';
  rejectOptionsOf(EXPORTER_RULES, options, reason);
  checkNames('', options, [...NAMES, ...Object.keys(PROCESSOR_RULES)]);
  const { scheduledDelayMillis, ...shared } = options;
  const own = resolveFields(PROCESSOR_RULES, '', { scheduledDelayMillis }, environment, warn);
  const config = { ...resolveShared(shared, environment, warn), ...own };
  return checked(config, contradictions(config), warn);
}

const NAMES: readonly string[] = [...Object.keys(RULES), 'exitTimeoutMillis', 'compressionLevel', 'tls'];

function resolveShared({ tls = {}, ...options }: FluentForwardOptions, environment: Environment, warn: Warn): Config {
  checkNames('tls', tls, Object.keys(TLS_RULES));
  const general = resolveFields(RULES, '', options, environment, warn);
  const dependent = {
    exitTimeoutMillis: exitTimeoutRule(general.endpoint),
    compressionLevel: levelRule(general.compression),
  };
  return {
    ...general,
    ...resolveFields(dependent, '', options, environment, warn),
    tls: Object.freeze(resolvePair(resolveFields(TLS_RULES, 'tls.', tls, environment, warn), tls, warn)),
  };
}

function checked<C extends Checked>(config: C, warnings: readonly string[], warn: Warn): C {
  for (const message of warnings) warn(message);
  return Object.freeze(config);
}

/** Throws a TypeError with `reason` if one of these options is set. */
function rejectOptionsOf(rules: object, options: object, reason: string): void {
  // `checkNames` reports what is no object.
  if (typeof options !== 'object' || options === null) return;
  for (const name of Object.keys(rules)) {
    if ((options as Record<string, unknown>)[name] !== undefined) throw new TypeError(`option ${name}: ${reason}`);
  }
}
