import { isPlainObject } from '../plain-object.ts';
import { copyOf, isObject } from './field.ts';
import { MAX_CONTAINERS, MAX_DEPTH, MAX_ELEMENTS } from './value.ts';

/**
 * Copies plain objects and arrays with all that is in them, so that a change of the copy is seen nowhere
 * else. All else stays what it is: instances, what is deeper or more than is written, what cannot be read.
 */
export class DeepCopy {
  /** By original, as one can be found again, also within itself. */
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

  /** An object of its own with the fields of any object; `undefined` when there is none. */
  fields(map: unknown): Record<string, unknown> | undefined {
    const copy = this.#copyFields(map);
    if (copy !== undefined) this.#values(copy, 0);
    return copy;
  }

  #array(array: readonly unknown[], depth: number): unknown {
    const { length } = array;
    // A proxy can claim any.
    if (!Number.isInteger(length) || length < 0 || length > MAX_ELEMENTS) return array;
    const copy: unknown[] = [];
    this.#copies.set(array, copy);
    for (let i = 0; i < length; i++) copy.push(this.of(array[i], depth + 1));
    return copy;
  }

  #object(object: object, depth: number): unknown {
    // What toJSON() gives can depend on more than the fields.
    if (!isPlainObject(object) || typeof (object as { toJSON?: unknown }).toJSON === 'function') return object;
    const keys = Object.keys(object);
    if (keys.length > MAX_ELEMENTS) {
      // So that they are not listed again where the object is referred to once more.
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
