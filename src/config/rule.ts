import { messageOf } from '../errors.ts';
import { printable } from '../printable.ts';
import { withoutPassword } from './endpoint.ts';
import { type Environment, readVariable, VARIABLE_PREFIX, type Variable } from './env.ts';

/** How one option is read, checked and shown in messages. */
export interface Rule<T> {
  /** The values that the option accepts, for messages. */
  readonly allowed: string;
  /** The suffix of the environment variable. Absent if only code can set the option. */
  readonly variable?: string;
  /** A variable that names a file with the value in it. It takes precedence over `variable`. */
  readonly file?: FileVariable<T>;
  /** Whether messages must not show the values of this option. */
  readonly isHidden?: boolean;
  /** What a message shows of a text that is not allowed. By default it hides only the password of a URL. */
  readonly shown?: (text: string) => string;
  readonly fallback: T;
  /** The fallback as a message shows it. By default it is shown as any other value is. */
  readonly shownFallback?: string;
  /** Whether the type is right. A value of the right type that is not allowed throws a `RangeError`. */
  hasType(value: unknown): boolean;
  /**
   * Returns the value to use, or `undefined` if the value is not allowed. It may throw an error with the reason.
   * `origin` is the name of the option or of the variable.
   */
  accept(value: unknown, origin: string): T | undefined;
  /** Converts the text of the variable. `accept` then checks the result. */
  parse(variable: Variable): unknown;
}

export interface FileVariable<T> {
  /** The suffix of the environment variable. */
  readonly variable: string;
  /** Returns the value that stands for the file. */
  read(variable: Variable): T;
}

export type Rules<T> = { readonly [K in keyof T]: Rule<T[K]> };

/**
 * Throws a TypeError if there is an option that is not among `names`. `group` is the option that contains `options`, or
 * empty.
 */
export function checkNames(group: string, options: object, names: readonly string[]): void {
  const what = group === '' ? 'options' : `option ${group}`;
  if (typeof options !== 'object' || options === null) {
    throw new TypeError(`${what}: got ${show(options)}, allowed: an object`);
  }
  for (const given of Object.keys(options)) {
    if (names.includes(given)) continue;
    const known = group === '' ? 'the options are' : `${group} takes`;
    throw new TypeError(
      `unknown option ${group === '' ? '' : `${group}.`}${printable(given)}; ${known} ${names.join(', ')}`,
    );
  }
}

/** Takes each option from code, else from its variable, else its fallback. `prefix` stands before the options' names. */
export function resolveFields<T>(
  rules: Rules<T>,
  prefix: string,
  options: { readonly [K in keyof T]?: unknown },
  environment: Environment,
  warn: (message: string) => void,
): T {
  const fields: { [K in keyof T]?: unknown } = {};
  for (const key of Object.keys(rules) as (keyof T & string)[]) {
    const rule: Rule<unknown> = rules[key];
    fields[key] =
      fromCode(prefix + key, options[key], rule) ?? fromEnvironment(rule, environment, warn) ?? rule.fallback;
  }
  return fields as T;
}

function fromCode(option: string, value: unknown, rule: Rule<unknown>): unknown {
  if (value === undefined) return undefined;
  if (!rule.hasType(value)) {
    throw new TypeError(`option ${option}: got ${showFor(rule, value)}, allowed: ${rule.allowed}`);
  }
  const { accepted, reason } = judge(rule, value, option);
  if (accepted !== undefined) return accepted;
  throw new RangeError(`option ${option}: got ${showFor(rule, value)}${reason}, allowed: ${rule.allowed}`);
}

function fromEnvironment(rule: Rule<unknown>, environment: Environment, warn: (message: string) => void): unknown {
  if (rule.variable === undefined) return undefined;
  const read = (suffix: string) => readVariable(environment, VARIABLE_PREFIX + suffix);
  const variable = read(rule.variable);
  const file = rule.file && read(rule.file.variable);
  if (rule.file !== undefined && file !== undefined) {
    if (variable !== undefined) warn(`both ${variable.name} and ${file.name} are set; using the file`);
    return rule.file.read(file);
  }
  if (variable === undefined) return undefined;
  const { accepted, reason } = judge(rule, rule.parse(variable), variable.name);
  if (accepted === undefined) {
    const got = `got ${showFor(rule, variable.text)}${reason}, allowed: ${rule.allowed}`;
    warn(`${variable.name}: ${got}; using ${showFallback(rule)}`);
  }
  return accepted;
}

/** Returns the value to use, or the reason why the value is not allowed, as far as the rule gives one. */
function judge(
  rule: Rule<unknown>,
  value: unknown,
  origin: string,
): { readonly accepted: unknown; readonly reason: string } {
  try {
    return { accepted: value === undefined ? undefined : rule.accept(value, origin), reason: '' };
  } catch (error) {
    return { accepted: undefined, reason: ` (${messageOf(error)})` };
  }
}

function showFor({ isHidden, shown }: Rule<unknown>, value: unknown): string {
  return isHidden ? `a value of type ${typeof value}` : show(value, shown);
}

function showFallback({ fallback, shownFallback }: Rule<unknown>): string {
  const used = shownFallback ?? fallback;
  return used === undefined ? 'none' : show(used);
}

/** A value as a message may show it. */
export function show(value: unknown, shown: (text: string) => string = withoutPassword): string {
  return printable(typeof value === 'string' ? JSON.stringify(shown(value)) : nameOf(value));
}

function nameOf(value: unknown): string {
  if (Array.isArray(value)) return 'an array';
  return typeof value === 'object' && value !== null ? 'an object' : String(value);
}
