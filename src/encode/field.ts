import { BufferPool } from './buffer-pool.ts';
import type { Key } from './layout/keys.ts';
import { readProperty, type ValueWriter } from './value.ts';
import { Writer } from './writer.ts';

/** Fields of a map, encoded with their keys, to be copied into many records. */
export interface Fields {
  readonly bytes: Uint8Array;
  /** The number of fields. */
  readonly size: number;
}

/** Encodes the fields that `write` writes. `write` returns their number. */
export function encodeFields(
  valuesOf: (writer: Writer) => ValueWriter,
  write: (values: ValueWriter) => number,
): Fields {
  const writer = new Writer(new BufferPool(), 1024);
  const size = write(valuesOf(writer));
  return { bytes: Uint8Array.from(writer.buffer.subarray(0, writer.position)), size };
}

/** Writes a field whose value is inside `depth` containers, unless it is `undefined`. Returns the number of fields. */
export function field(values: ValueWriter, key: Key, value: unknown, depth: number): 0 | 1 {
  if (value === undefined) return 0;
  values.writer.raw(key.bytes);
  values.value(value, depth);
  return 1;
}

/**
 * Writes a field that is always a map: the limits of values do not replace it by a string. An empty map is left
 * out. Returns the number of fields.
 */
export function mapField(values: ValueWriter, key: Key, map: object | undefined, depth: number): 0 | 1 {
  if (!isObject(map)) return 0;
  const { writer } = values;
  const before = writer.position;
  writer.raw(key.bytes);
  const start = writer.startMap();
  const size = values.properties(map, depth + 1);
  if (size === 0) {
    writer.position = before;
    return 0;
  }
  writer.endMap(start, size);
  return 1;
}

/** Whether a map has a field of that name, as {@link ValueWriter.map} writes it. */
export function hasField(map: object | undefined, name: string): boolean {
  return isObject(map) && isEnumerable.call(map, name) && readProperty(map, name) !== undefined;
}

const { propertyIsEnumerable: isEnumerable } = Object.prototype;

/**
 * Makes a new object with the fields that {@link ValueWriter.map} writes. Returns `undefined` if there are none.
 * `keys` are the keys of `map`, if the caller has listed them already.
 */
export function copyOf(map: unknown, keys?: readonly string[]): Record<string, unknown> | undefined {
  if (!isObject(map)) return undefined;
  let copy: Record<string, unknown> | undefined;
  for (const key of keys ?? Object.keys(map)) {
    const value = readProperty(map, key);
    if (value === undefined) continue;
    copy ??= {};
    setField(copy, key, value);
  }
  return copy;
}

/** Sets a field of an object, also one of the name `__proto__`. */
export function setField(fields: Record<string, unknown>, name: string, value: unknown): void {
  if (name !== '__proto__') fields[name] = value;
  else Object.defineProperty(fields, name, { value, enumerable: true, configurable: true, writable: true });
}

export function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

/** Whether {@link ValueWriter.map} would write an empty map. */
export function isEmpty(map: object | undefined): boolean {
  return !isObject(map) || !Object.keys(map).some((key) => readProperty(map, key) !== undefined);
}
