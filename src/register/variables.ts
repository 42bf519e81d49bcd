import { type Environment, parseBoolean, parseInteger, readVariable } from '../config/env.ts';
import { messageOf } from '../errors.ts';
import { printable } from '../printable.ts';

const MAX_INTEGER = 2 ** 31 - 1;

/** Variables of OpenTelemetry's own. For an unset one, and with a warning for a bad one, there is a fallback. */
export class Variables {
  readonly #environment: Environment;
  readonly #warn: (message: string) => void;

  constructor(environment: Environment, warn: (message: string) => void) {
    this.#environment = environment;
    this.#warn = warn;
  }

  warn(message: string): void {
    this.#warn(message);
  }

  text(name: string): string | undefined {
    return readVariable(this.#environment, name)?.text;
  }

  boolean(name: string, fallback: boolean): boolean {
    return this.parsed(name, 'true or false', parseBoolean, fallback);
  }

  integer(name: string, min: number, fallback: number): number {
    const parse = (text: string) => {
      const value = parseInteger(text);
      return value !== undefined && value >= min && value <= MAX_INTEGER ? value : undefined;
    };
    return this.parsed(name, `an integer from ${min} to ${MAX_INTEGER}`, parse, fallback);
  }

  /** `parse` gives `undefined`, or throws an error that says why, for a value that is not allowed. */
  parsed<T>(name: string, allowed: string, parse: (text: string) => T | undefined, fallback: T): T {
    const text = this.text(name);
    if (text === undefined) return fallback;
    let reason = '';
    try {
      const value = parse(text);
      if (value !== undefined) return value;
    } catch (error) {
      reason = ` (${messageOf(error)})`;
    }
    const got = printable(text);
    this.#warn(`${name}: got "${got}"${reason}, allowed: ${allowed}; using ${fallback ?? 'none'}`);
    return fallback;
  }
}
