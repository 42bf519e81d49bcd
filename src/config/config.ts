import { contradictions, resolvePair } from './contradictions.ts';
import type { Environment } from './env.ts';
import type { FluentForwardLogExporterOptions } from './options.ts';
import { checkNames, resolveFields } from './rule.ts';
import { type GeneralConfig, levelRule, RULES, TLS_RULES, type TlsConfig } from './rules.ts';

/** The value of every option: from code, else from the environment, else the default. */
export interface Config extends GeneralConfig {
  readonly compressionLevel: number;
  readonly tls: TlsConfig;
}

/**
 * Merges options, environment and defaults, field by field, in this order. A bad variable counts as unset, and `warn`
 * is called with the reason.
 * @throws TypeError for an unknown option or a value of the wrong type, RangeError for a value that is not allowed.
 */
export function resolveConfig(
  options: FluentForwardLogExporterOptions,
  environment: Environment,
  warn: (message: string) => void,
): Config {
  checkNames('', options, [...Object.keys(RULES), 'compressionLevel', 'tls']);
  const { tls = {}, ...others } = options;
  checkNames('tls', tls, Object.keys(TLS_RULES));
  const general = resolveFields(RULES, '', others, environment, warn);
  const level = { compressionLevel: levelRule(general.compression) };
  const config: Config = {
    ...general,
    ...resolveFields(level, '', others, environment, warn),
    tls: Object.freeze(resolvePair(resolveFields(TLS_RULES, 'tls.', tls, environment, warn), tls, warn)),
  };
  for (const message of contradictions(config)) warn(message);
  return Object.freeze(config);
}
