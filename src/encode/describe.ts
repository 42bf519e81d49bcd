import { printable } from '../printable.ts';
import { isObject } from './field.ts';

/** What kind of value a function of the application gave, for messages. Never throws. */
export function describe(value: unknown): string {
  if (value === null) return 'null';
  try {
    if (Array.isArray(value)) return 'an array';
    return isObject(value) ? `an instance of ${printable(value.constructor.name)}` : `a ${typeof value}`;
  } catch {
    return 'an object';
  }
}
