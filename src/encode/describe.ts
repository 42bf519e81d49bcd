import { printable } from '../printable.ts';
import { isObject } from './field.ts';

/** Describes the kind of value that a function of the application returned, for messages. Never throws. */
export function describe(value: unknown): string {
  if (value === null) return 'null';
  try {
    if (Array.isArray(value)) return 'an array';
    return isObject(value) ? `an instance of ${printable(value.constructor.name)}` : `a ${typeof value}`;
  } catch {
    return 'an object';
  }
}
