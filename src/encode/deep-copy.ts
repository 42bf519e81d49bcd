import { isPlainObject } from '../plain-object.ts';
import { copyOf, isObject } from './field.ts';
import { MAX_CONTAINERS, MAX_DEPTH, MAX_ELEMENTS } from './value.ts';

/**
 * Copies plain objects and arrays with everything in them, so that a change of the copy changes nothing else.
 * All other values are shared with the original: instances, objects that throw when they are read, and containers
 * beyond the limits of what is written.
 */
export class DeepCopy {
  /** By original, because several values can refer to the same object, and an object can contain itself. */
  readonly #copies = new Map<object, object>();
  readonly #copyFields: typeof copyOf;

  /** `copyFields` copies the fields of one object. */
  constructor(copyFields: typeof copyOf = copyOf) {
    this.#copyFields = copyFields;
  }

  of(value: unknown, depth = 0): unknown {
    if (!isObject(value) || depth >= MAX_DEPTH) return value;
    const known = this.#copies.get(value);
    if (known !== undefined) return known;
    if (this.#copies.size >= MAX_CONTAINERS) return value;
    try {
      return Array.isArray(value) ? this.#array(value, depth) : this.#object(value, depth);
    } catch {
      this.#copies.set(value, value);
      return value;
    }
  }

  /** Copies the fields of any object into a new object. Returns `undefined` if there are no fields. */
  fields(map: unknown): Record<string, unknown> | undefined {
    const copy = this.#copyFields(map);
    if (copy !== undefined) this.#values(copy, 0);
    return copy;
  }

  #array(array: readonly unknown[], depth: number): unknown {
    const { length } = array;
    // A proxy can have any length.
    if (!Number.isInteger(length) || length < 0 || length > MAX_ELEMENTS) return array;
    const copy: unknown[] = [];
    this.#copies.set(array, copy);
    for (let i = 0; i < length; i++) copy.push(this.of(array[i], depth + 1));
    return copy;
  }

  #object(object: object, depth: number): unknown {
    // The result of toJSON() can depend on more than the fields.
    if (!isPlainObject(object) || typeof (object as { toJSON?: unknown }).toJSON === 'function') return object;
    const keys = Object.keys(object);
    if (keys.length > MAX_ELEMENTS) {
      // The next reference to this object then does not list its keys again.
      this.#copies.set(object, object);
      return object;
    }
    const copy = this.#copyFields(object, keys) ?? {};
    this.#copies.set(object, copy);
    this.#values(copy, depth);
    return copy;
  }

  #values(copy: Record<string, unknown>, depth: number): void {
    for (const key of Object.keys(copy)) copy[key] = this.of(copy[key], depth + 1);
  }
}
