import { types } from 'node:util';

/** What a receiver decodes in the place of a value, as README.md says it. */
export interface NormalForm {
  /** Every string, keys too. */
  text(text: string): string;
  number(number: number): unknown;
  bytes(bytes: Uint8Array): unknown;
}

/** In the layouts default and flat: every receiver can write it as JSON. */
export const JSON_FORM: NormalForm = {
  text: (text) => text.toWellFormed(),
  number: (number) => (Number.isFinite(number) ? number + 0 : String(number)),
  bytes: (bytes) => Buffer.from(bytes).toString('base64'),
};

/** In the layout otlp: Fluent Bit turns it into the same value of OTLP. */
export const OTLP_FORM: NormalForm = {
  text: (text) => text.toWellFormed().replaceAll('\0', '␀'),
  number: (number) => number,
  bytes: (bytes) => (bytes.length === 0 ? '' : Uint8Array.from(bytes)),
};

/** `undefined` where a receiver gets nothing. */
export function normalForm(value: unknown, form: NormalForm): unknown {
  switch (typeof value) {
    case 'string':
      return form.text(value);
    case 'number':
      return form.number(value);
    case 'bigint':
      return integer(value);
    case 'object':
      return value === null ? null : normalObject(value, form);
    default:
      return value;
  }
}

function normalObject(object: object, form: NormalForm): unknown {
  const element = (item: unknown): unknown => normalForm(item, form) ?? null;
  if (object instanceof Uint8Array || object instanceof Uint8ClampedArray) return form.bytes(Uint8Array.from(object));
  if (object instanceof DataView)
    return form.bytes(new Uint8Array(object.buffer, object.byteOffset, object.byteLength));
  if (object instanceof ArrayBuffer) return form.bytes(new Uint8Array(object));
  if (ArrayBuffer.isView(object)) return Array.from(object as unknown as ArrayLike<unknown>, element);
  if (object instanceof Date) return Number.isNaN(object.getTime()) ? 'Invalid Date' : object.toISOString();
  if (types.isBoxedPrimitive(object)) return normalForm(object.valueOf(), form);
  if (Array.isArray(object)) return Array.from(object, element);
  if (object instanceof Set) return Array.from(object, element);
  if (object instanceof Map) {
    const given: string[] = [];
    const entries = [...object].map(([key, item]) => [distinct(form.text(nameOf(key)), given), element(item)]);
    return Object.fromEntries(entries);
  }
  return normalMap(object, form);
}

/** The fields of a map; `rename` gives a property's name there. */
export function normalMap(
  object: object,
  form: NormalForm,
  rename: (key: string) => string = (key) => key,
): Record<string, unknown> {
  const entries = Object.entries(object).filter(([, value]) => value !== undefined);
  const nameIn = (key: string): string => form.text(rename(form.text(key)));
  // Names that need no change stay. Any other that would equal one of them, or one before it, gets a number.
  const given = entries
    .map(([key]) => key)
    .filter((key) => nameIn(key) === rename(key))
    .map(nameIn);
  return Object.fromEntries(
    entries.map(([key, value]) => {
      const name = nameIn(key);
      return [name === rename(key) ? name : distinct(name, given), normalForm(value, form)];
    }),
  );
}

function nameOf(key: unknown): string {
  try {
    return String(key);
  } catch {
    return '';
  }
}

function distinct(name: string, given: string[]): string {
  let candidate = name;
  for (let n = 2; given.includes(candidate); n++) candidate = `${name} (${n})`;
  given.push(candidate);
  return candidate;
}

/** Above 64 bits with a sign, receivers get the digits. */
function integer(bigint: bigint): number | bigint | string {
  if (BigInt.asIntN(64, bigint) !== bigint) return String(bigint);
  return Number.isSafeInteger(Number(bigint)) ? Number(bigint) : bigint;
}
