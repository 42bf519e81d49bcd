export type Environment = Readonly<Record<string, string | undefined>>;

export const VARIABLE_PREFIX = 'OTEL_EXPORTER_FLUENT_FORWARD_';

/** A variable's trimmed text; as OpenTelemetry asks, an empty one counts as unset. */
export function readVariable(environment: Environment, suffix: string): { name: string; text: string } | undefined {
  const name = VARIABLE_PREFIX + suffix;
  const text = environment[name]?.trim() ?? '';
  return text === '' ? undefined : { name, text };
}
