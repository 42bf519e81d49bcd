export type Environment = Readonly<Record<string, string | undefined>>;

export const VARIABLE_PREFIX = 'OTEL_EXPORTER_FLUENT_FORWARD_';

export interface Variable {
  readonly name: string;
  /** Without the white space around it. */
  readonly text: string;
  /** With its white space, but without a newline at its end. */
  readonly verbatim: string;
}

/** Reads a variable. An empty one counts as unset, as OpenTelemetry specifies. */
export function readVariable(environment: Environment, name: string): Variable | undefined {
  const given = environment[name] ?? '';
  const text = given.trim();
  return text === '' ? undefined : { name, text, verbatim: given.replace(/\r?\n$/, '') };
}

export function parseBoolean(text: string): boolean | undefined {
  switch (text.toLowerCase()) {
    case 'true':
      return true;
    case 'false':
      return false;
    default:
      return undefined;
  }
}

export function parseInteger(text: string): number | undefined {
  return /^[+-]?\d+$/.test(text) ? Number(text) : undefined;
}
