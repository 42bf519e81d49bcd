export type Environment = Readonly<Record<string, string | undefined>>;

export const VARIABLE_PREFIX = 'OTEL_EXPORTER_FLUENT_FORWARD_';

export interface Variable {
  readonly name: string;
  /** Without the white space around it. */
  readonly text: string;
  /** As it stands, but for a newline at its end. */
  readonly verbatim: string;
}

/** A variable; as OpenTelemetry asks, an empty one counts as unset. */
export function readVariable(environment: Environment, suffix: string): Variable | undefined {
  const name = VARIABLE_PREFIX + suffix;
  const given = environment[name] ?? '';
  const text = given.trim();
  return text === '' ? undefined : { name, text, verbatim: given.replace(/\r?\n$/, '') };
}
