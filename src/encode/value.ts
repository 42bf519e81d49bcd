import { types } from 'node:util';
import { type Distinct, distinctIn, distinctNames, type Rename } from './distinct-names.ts';
import { KeyCache } from './key-cache.ts';
import { TooLargeError, type Writer } from './writer.ts';

/**
 * Containers that are nested deeper than this in an entry become a string. Fluent Bit acknowledges an entry with
 * more than 64 nested containers, but loses it.
 */
export const MAX_DEPTH = 50;
/** The most elements that are written of one array, map or set. */
export const MAX_ELEMENTS = 65_536;
/**
 * The most containers that are written of one record. In an object graph whose parts refer to each other (a request,
 * a socket) there can be more paths than there is time to follow.
 */
export const MAX_CONTAINERS = 10_000;

const INT64_MIN = -(2n ** 63n);
const INT64_MAX = 2n ** 63n - 1n;
/** Room for `…[truncated N bytes]` with the largest possible N. */
const MARKER_BYTES = 40;

/** Shared by all exporters, because the bytes depend only on the key. */
const KEYS = new KeyCache();

/**
 * Writes any JavaScript value as MessagePack that every receiver reads. A value without a counterpart in MessagePack
 * becomes a readable string or map, as listed in a table of the README.
 */
export class ValueWriter {
  readonly writer: Writer;
  /** The position in the last entry at which its resource is missing, if it was written without one. */
  gap = 0;
  protected readonly maxStringBytes: number;
  /**
   * The first `#nesting` elements are the containers around the value that is being written, to detect cycles. The
   * array never shrinks, because it would allocate when it grows again.
   */
  readonly #ancestors: (object | undefined)[] = [];
  #nesting = 0;
  #containers = 0;

  constructor(writer: Writer, maxStringBytes: number) {
    this.writer = writer;
    this.maxStringBytes = maxStringBytes;
  }

  /** Resets the count of containers, which is limited for each record. */
  startRecord(): void {
    this.#containers = 0;
  }

  /** Writes `value`, which is inside `depth` containers. */
  value(value: unknown, depth: number): void {
    switch (typeof value) {
      case 'string':
        this.string(value);
        break;
      case 'number':
        this.number(value);
        break;
      case 'boolean':
        this.writer.boolean(value);
        break;
      case 'bigint':
        this.#bigint(value);
        break;
      case 'undefined':
        this.writer.nil();
        break;
      case 'symbol':
        this.string(String(value));
        break;
      case 'function':
        this.string(`[Function: ${readText(() => value.name) || 'anonymous'}]`);
        break;
      case 'object':
        if (value === null) this.writer.nil();
        else this.#object(value, depth);
        break;
    }
  }

  /** Writes a string, cut at `maxStringBytes`. */
  string(value: string): void {
    this.writer.string(this.#cut(value));
  }

  protected number(value: number): void {
    // Fluentd's JSON outputs can fail on NaN and Infinity.
    if (Number.isFinite(value)) this.writer.number(value);
    else this.writer.string(String(value));
  }

  #bigint(value: bigint): void {
    // Fluent Bit's OTLP output would read a larger integer as a negative one.
    if (value >= INT64_MIN && value <= INT64_MAX) this.writer.bigint(value);
    else this.string(String(value));
  }

  protected bytes(bytes: Buffer): void {
    const room = Math.floor((this.maxStringBytes - MARKER_BYTES) / 4) * 3;
    const fits = Math.ceil(bytes.length / 3) * 4 <= this.maxStringBytes;
    if (fits) this.writer.string(bytes.toString('base64'));
    else this.writer.string(`${bytes.toString('base64', 0, room)}…[truncated ${bytes.length - room} bytes]`);
  }

  /** Returns the text that is sent instead of `text`. It has the same number of code units. */
  protected readable(text: string): string {
    return text;
  }

  /** The number of bytes of {@link readable} in UTF-8. */
  protected readableBytes(text: string): number {
    return Buffer.byteLength(text);
  }

  /** Returns the name that a receiver reads if `name` is written. */
  #received(name: string): string {
    return this.#cut(name).toWellFormed();
  }

  /** Writes `name`. Returns false, with nothing written, if a receiver would read another name. */
  #writeKeyIfExact(name: string): boolean {
    const known = KEYS.get(name);
    if (known !== undefined && known.length <= this.maxStringBytes) {
      this.writer.raw(known);
      return true;
    }
    if (this.#cut(name) !== name) return false;
    const start = this.writer.position;
    if (this.writer.string(name) || name.isWellFormed()) {
      // Names with NUL are not kept, because the layout otlp replaces the NUL.
      if (!name.includes('\0')) KEYS.missed(name, this.writer.buffer, start, this.writer.position);
      return true;
    }
    this.writer.position = start;
    return false;
  }

  #cut(value: string): string {
    // A UTF-16 code unit takes at most three bytes.
    if (value.length * 3 <= this.maxStringBytes) return this.readable(value);
    const bytes = this.readableBytes(value);
    if (bytes <= this.maxStringBytes) return this.readable(value);
    const room = this.maxStringBytes - MARKER_BYTES;
    // Each code unit takes at least one byte, so that no longer prefix fits.
    const kept = prefix(this.readable(value.slice(0, room)), room);
    return `${kept}…[truncated ${bytes - Buffer.byteLength(kept)} bytes]`;
  }

  /** Writes the own enumerable properties of `object` as a map. Properties that are `undefined` are left out. */
  map(object: object, depth: number): void {
    const start = this.writer.startMap();
    this.writer.endMap(start, this.properties(object, depth + 1));
  }

  /**
   * Writes the fields of {@link map} into a map that has begun. Their values are inside `depth` containers. Returns the
   * number of fields.
   */
  properties(object: object, depth: number, rename?: Rename): number {
    let size = 0;
    let left = 0;
    let distinct: Distinct | undefined;
    const nameOf = rename?.nameOf;
    // Object.keys() would allocate a list for each map.
    for (const key in object) {
      if (!hasOwn.call(object, key)) continue;
      if (size === MAX_ELEMENTS) {
        left++;
        continue;
      }
      const value = readProperty(object, key);
      if (value === undefined) continue;
      if (!this.#writeKeyIfExact(nameOf === undefined ? key : nameOf(key))) {
        distinct ??= distinctIn(object, rename);
        const name = this.#received(key);
        this.writer.string(distinct(nameOf === undefined ? name : this.#received(nameOf(name))));
      }
      this.value(value, depth);
      size++;
    }
    if (left === 0) return size;
    distinct ??= distinctIn(object, rename);
    this.#elementsCut(distinct(nameOf === undefined ? CUT : nameOf(CUT)), left);
    return size + 1;
  }

  #object(object: object, depth: number): void {
    if (this.#ancestors.includes(object)) this.writer.string('[Circular]');
    else if (depth >= MAX_DEPTH) this.writer.string('[Too deep]');
    else if (this.#containers >= MAX_CONTAINERS) this.writer.string('[Too many objects]');
    else this.#enter(object, depth);
  }

  #enter(object: object, depth: number): void {
    this.#containers++;
    const start = this.writer.position;
    const nesting = this.#nesting++;
    this.#ancestors[nesting] = object;
    try {
      this.#container(object, depth);
    } catch (error) {
      if (error instanceof TooLargeError) throw error;
      // Code of the application threw: a proxy, an iterator or `toJSON`.
      this.writer.position = start;
      this.string(thrown(error));
    } finally {
      this.#nesting = nesting;
      this.#ancestors[nesting] = undefined;
    }
  }

  #container(object: object, depth: number): void {
    const prototype: unknown = Object.getPrototypeOf(object);
    const isPlain = prototype === Object.prototype || prototype === null;
    if (Array.isArray(object)) {
      this.#array(object, depth);
    } else if (isPlain || !this.#builtIn(object, depth)) {
      const { toJSON } = object as { toJSON?: unknown };
      const json: unknown = typeof toJSON === 'function' ? toJSON.call(object, '') : object;
      if (json !== object) this.value(json, depth + 1);
      else if (isPlain) this.map(object, depth);
      else this.#instance(object, depth);
    }
  }

  #instance(object: object, depth: number): void {
    if (types.isNativeError(object) || object instanceof Error) {
      this.#error(object, depth);
      return;
    }
    const start = this.writer.startMap();
    const size = this.properties(object, depth + 1);
    // The string of an instance without own properties often describes it.
    const text = size > 0 || Object.keys(object).length > 0 ? PLAIN : String(object);
    if (text === PLAIN) {
      this.writer.endMap(start, size);
    } else {
      this.writer.position = start;
      this.string(text);
    }
  }

  /**
   * Writes an object of any realm whose content is in internal slots. Returns false, with nothing written, for other
   * objects.
   */
  #builtIn(object: object, depth: number): boolean {
    if (types.isArrayBufferView(object)) {
      if (types.isUint8Array(object) || types.isUint8ClampedArray(object) || types.isDataView(object)) {
        this.bytes(Buffer.from(object.buffer, object.byteOffset, object.byteLength));
      } else {
        this.#array(object as unknown as ArrayLike<unknown>, depth);
      }
    } else if (types.isAnyArrayBuffer(object)) {
      this.bytes(Buffer.from(object));
    } else if (types.isDate(object)) {
      const millis = Date.prototype.getTime.call(object);
      this.writer.string(Number.isNaN(millis) ? 'Invalid Date' : new Date(millis).toISOString());
    } else if (types.isMap(object)) {
      this.#entries(object, depth);
    } else if (types.isSet(object)) {
      this.#set(object, depth);
    } else if (types.isBoxedPrimitive(object)) {
      this.value(object.valueOf(), depth + 1);
    } else {
      return false;
    }
    return true;
  }

  #array(array: ArrayLike<unknown>, depth: number): void {
    // A proxy can have any length. The header must have the number of elements that are written.
    const length = Math.max(0, Math.floor(Number(array.length)) || 0);
    this.#elements(array, length, depth);
  }

  #set(set: ReadonlySet<unknown>, depth: number): void {
    const first: unknown[] = [];
    // Collected before any is written, because writing can run code that changes the set.
    for (const element of Set.prototype.values.call(set)) {
      if (first.length === MAX_ELEMENTS) break;
      first.push(element);
    }
    this.#elements(first, Reflect.get(Set.prototype, 'size', set), depth);
  }

  /** Writes an array of `length` elements. `array` may leave out the elements that are cut. */
  #elements(array: ArrayLike<unknown>, length: number, depth: number): void {
    const written = Math.min(length, MAX_ELEMENTS);
    this.writer.arrayHeader(written < length ? written + 1 : written);
    for (let i = 0; i < written; i++) {
      let element: unknown;
      try {
        element = array[i];
      } catch (error) {
        element = thrown(error);
      }
      this.value(element, depth + 1);
    }
    if (written < length) this.writer.string(cut(length - written));
  }

  #entries(map: ReadonlyMap<unknown, unknown>, depth: number): void {
    const start = this.writer.startMap();
    const distinct = distinctNames();
    let size = 0;
    for (const [key, value] of Map.prototype.entries.call(map)) {
      if (size === MAX_ELEMENTS) {
        // Code that ran in the meantime may have removed entries that have been written.
        const left = Math.max(1, Reflect.get(Map.prototype, 'size', map) - size);
        this.#elementsCut(distinct(CUT), left);
        size++;
        break;
      }
      const name = typeof key === 'string' ? key : readText(() => String(key));
      this.writer.string(distinct(this.#received(name)));
      this.value(value, depth + 1);
      size++;
    }
    this.writer.endMap(start, size);
  }

  #error(error: object, depth: number): void {
    const own = Object.keys(error);
    // These four are inherited or not enumerable.
    const keys = ['name', 'message', 'stack', 'cause', ...own.filter((key) => !ERROR_KEYS.has(key))];
    if (Object.hasOwn(error, 'errors') && !own.includes('errors')) keys.push('errors');
    const fields = Object.fromEntries(keys.slice(0, MAX_ELEMENTS).map((key) => [key, readProperty(error, key)]));
    const start = this.writer.startMap();
    let size = this.properties(fields, depth + 1);
    if (keys.length > MAX_ELEMENTS) {
      this.#elementsCut(distinctIn(fields)(CUT), keys.length - MAX_ELEMENTS);
      size++;
    }
    this.writer.endMap(start, size);
  }

  /** Writes the field that replaces `count` further fields of a map. */
  #elementsCut(name: string, count: number): void {
    this.writer.string(name);
    this.writer.string(cut(count));
  }
}

const { hasOwnProperty: hasOwn } = Object.prototype;

/** The name of the field that replaces the fields that are cut off. */
const CUT = '…';
/** The string of an object without a `toString()` of its own. */
const PLAIN = '[object Object]';
const ERROR_KEYS = new Set(['name', 'message', 'stack', 'cause']);

function cut(elements: number): string {
  return `…[truncated ${elements} elements]`;
}

/** The longest prefix of `value` that ends at a code point and takes at most `bytes` in UTF-8. */
function prefix(value: string, bytes: number): string {
  const encoded = Buffer.allocUnsafe(bytes);
  // write() does not split a code point.
  const written = encoded.write(value, 'utf8');
  return encoded.toString('utf8', 0, written);
}

/** Returns the value of a property. If reading it throws, returns the text of {@link thrown}. */
export function readProperty(object: object, key: string): unknown {
  try {
    return (object as Record<string, unknown>)[key];
  } catch (error) {
    return thrown(error);
  }
}

/** The text that replaces a value that threw `error` when it was read. */
export function thrown(error: unknown): string {
  return `[Threw: ${readText(() => (error instanceof Error ? error.message : String(error)))}]`;
}

/** Returns the string that `read` returns, or an empty one if it throws or returns something else. */
function readText(read: () => unknown): string {
  try {
    const text = read();
    return typeof text === 'string' ? text : '';
  } catch {
    return '';
  }
}
