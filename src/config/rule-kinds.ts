import { MAX_NAME_BYTES } from '../protocol/handshake.ts';
import { parseBoolean, parseInteger } from './env.ts';
import type { Rule } from './rule.ts';
import { isPemOrPath, isSecret, SECRET_RULE, Source, type TextOrFunction } from './source.ts';

const MAX_MILLIS = 2 ** 31 - 1;

export function integer(variable: string, min: number, max: number, fallback: number): Rule<number> {
  return {
    allowed: `an integer from ${min} to ${max}`,
    variable,
    fallback,
    hasType: (value) => typeof value === 'number',
    accept: (value) =>
      Number.isInteger(value) && Number(value) >= min && Number(value) <= max ? Number(value) : undefined,
    parse: ({ text }) => parseInteger(text),
  };
}

export function millis(variable: string, fallback: number, min = 1): Rule<number> {
  return integer(variable, min, MAX_MILLIS, fallback);
}

export function boolean<T extends boolean | undefined>(variable: string, fallback: T): Rule<boolean | T> {
  return {
    allowed: 'true or false',
    variable,
    fallback,
    hasType: (value) => typeof value === 'boolean',
    accept: (value) => value as boolean,
    parse: ({ text }) => parseBoolean(text),
  };
}

/** The part of a rule that all strings have in common. */
export const text: Pick<Rule<unknown>, 'hasType' | 'parse'> = {
  hasType: (value) => typeof value === 'string',
  parse: (variable) => variable.text,
};

/** The part of a rule that strings and functions have in common. */
export const textOrFunction: Pick<Rule<unknown>, 'hasType' | 'parse'> = {
  ...text,
  hasType: (value) => typeof value === 'string' || typeof value === 'function',
};

/** A secret. The variable contains it, and the variable `<variable>_FILE` the path of a file that does. */
export function secret(variable?: string): Rule<Source | undefined> {
  return {
    ...textOrFunction,
    ...(variable === undefined ? {} : secretVariables(variable)),
    isHidden: true,
    allowed: `${SECRET_RULE}, or a function that gives one`,
    fallback: undefined,
    accept: (value, origin) =>
      typeof value === 'function' || isSecret(value) ? Source.secret(value as TextOrFunction, origin) : undefined,
    // White space can be a part of a secret.
    parse: ({ verbatim }) => verbatim,
  };
}

function secretVariables(variable: string): Pick<Rule<Source>, 'variable' | 'file'> {
  return {
    variable,
    file: { variable: `${variable}_FILE`, read: ({ text, name }) => Source.secretFile(text, name) },
  };
}

export function pem(variable: string): Rule<Source | undefined> {
  return {
    ...textOrFunction,
    isHidden: true,
    allowed: 'PEM text, the path of a PEM file, or a function that gives either',
    variable,
    fallback: undefined,
    accept: (value, origin) =>
      typeof value === 'function' || isPemOrPath(value) ? Source.pem(value as TextOrFunction, origin) : undefined,
  };
}

/** A name in the PING of the handshake. */
export const handshakeName: Pick<Rule<string | undefined>, 'allowed' | 'hasType' | 'accept' | 'parse'> = {
  ...text,
  allowed: `a string of 1 to ${MAX_NAME_BYTES} bytes`,
  accept: (value) => {
    const bytes = Buffer.from(String(value));
    // The digest is computed over the encoded name, and a lone surrogate is lost in the encoding.
    const isWhole = bytes.toString() === value;
    return isWhole && bytes.length > 0 && bytes.length <= MAX_NAME_BYTES ? String(value) : undefined;
  },
};
