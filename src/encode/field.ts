import { BufferPool } from './buffer-pool.ts';
import type { ValueWriter } from './value.ts';
import { Writer } from './writer.ts';

/** Encoded fields of a map, keys included, to be copied into many records. */
export interface Fields {
  readonly bytes: Uint8Array;
  /** How many fields they are. */
  readonly size: number;
}

export const NO_FIELDS: Fields = { bytes: new Uint8Array(0), size: 0 };

/** What `write` writes; it returns how many fields that is. */
export function encodeFields(
  valuesOf: (writer: Writer) => ValueWriter,
  write: (writer: Writer, values: ValueWriter) => number,
): Fields {
  const writer = new Writer(new BufferPool(), 1024);
  const size = write(writer, valuesOf(writer));
  return { bytes: Uint8Array.from(writer.buffer.subarray(0, writer.position)), size };
}

/**
 * Writes a field whose value stands inside `depth` containers, unless it is `undefined`; returns how
 * many it wrote.
 */
export function field(writer: Writer, values: ValueWriter, key: Uint8Array, value: unknown, depth: number): 0 | 1 {
  if (value === undefined) return 0;
  writer.raw(key);
  values.value(value, depth);
  return 1;
}

const EMPTY_MAP = 0x80;

/**
 * Writes a field that is always a map, however large the record is, or absent when there is nothing
 * in it; returns how many it wrote.
 */
export function mapField(
  writer: Writer,
  values: ValueWriter,
  key: Uint8Array,
  map: object | undefined,
  depth: number,
): 0 | 1 {
  if (!isObject(map)) return 0;
  const start = writer.position;
  writer.raw(key);
  const content = writer.position;
  values.map(map, depth);
  if (writer.position > content + 1 || writer.buffer[content] !== EMPTY_MAP) return 1;
  writer.position = start;
  return 0;
}

export function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

export function isEmpty(map: object | undefined): boolean {
  for (const key in map) if (Object.hasOwn(map, key)) return false;
  return true;
}
