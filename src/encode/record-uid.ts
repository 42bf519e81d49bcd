import { randomFillSync } from 'node:crypto';
import { encode } from '@msgpack/msgpack';
import type { WallTime } from '../clock.ts';
import type { Rename } from './distinct-names.ts';
import { copyOf, hasField, isObject } from './field.ts';
import { MAX_ELEMENTS, readProperty, type ValueWriter } from './value.ts';

/** The attribute of the semantic conventions. Records with the same value are duplicates. */
export const RECORD_UID = 'log.record.uid';

const KEY = encode(RECORD_UID);
/** Crockford's base 32. Its characters have the same order as their values. */
const DIGITS = Buffer.from('0123456789ABCDEFGHJKMNPQRSTVWXYZ');
const TIME_DIGITS = 10;
const UID_DIGITS = 26;

/**
 * Makes ids for records: ULIDs of a record's time in milliseconds and of 80 bits that start at a random number and
 * increase by one with each id. Ids sort by time, and within a millisecond in the order in which they were made.
 */
export class RecordUids {
  readonly #values: Uint8Array = randomFillSync(new Uint8Array(UID_DIGITS)).map((byte) => byte % 32);
  readonly #text: Buffer = Buffer.alloc(UID_DIGITS);
  #millis = -1;

  constructor() {
    // The highest bit starts at 0, so that the 80 bits never overflow.
    this.#values[TIME_DIGITS] = (this.#values[TIME_DIGITS] as number) % 16;
    for (let i = TIME_DIGITS; i < UID_DIGITS; i++) this.#set(i, this.#values[i] as number);
  }

  /**
   * Writes attributes inside `depth` containers, and a new id, unless they contain a usable id. An id that is not
   * usable is replaced. Returns the number of fields.
   */
  write(values: ValueWriter, attributes: object | undefined, time: WallTime, depth: number, rename?: Rename): number {
    const { writer } = values;
    const hasOwn = hasField(attributes, RECORD_UID);
    const isKept = hasOwn && isRecordUid(readProperty(attributes as object, RECORD_UID));
    const written = hasOwn && !isKept ? withoutUid(attributes) : attributes;
    const size = isObject(written) ? values.properties(written, depth, rename) : 0;
    if (isKept && (size <= MAX_ELEMENTS || isAmongFirst(attributes as object))) return size;
    writer.raw(KEY);
    writer.string(this.next(time));
    return size + 1;
  }

  next([seconds, nanoseconds]: WallTime): string {
    const millis = seconds * 1000 + Math.floor(nanoseconds / 1_000_000);
    if (millis !== this.#millis) this.#setTime(millis);
    let i = UID_DIGITS - 1;
    for (; this.#values[i] === 31; i--) this.#set(i, 0);
    this.#set(i, (this.#values[i] as number) + 1);
    return this.#text.toString('latin1');
  }

  #setTime(millis: number): void {
    this.#millis = millis;
    let rest = millis;
    for (let i = TIME_DIGITS - 1; i >= 0; i--) {
      this.#set(i, rest % 32);
      rest = Math.floor(rest / 32);
    }
  }

  #set(index: number, value: number): void {
    this.#values[index] = value;
    this.#text[index] = DIGITS[value] as number;
  }
}

/**
 * Whether a store can distinguish records by `value`. With nil, an empty string or a map, many records would be one.
 */
export function isRecordUid(value: unknown): boolean {
  return typeof value === 'string' ? value !== '' : typeof value === 'bigint' || Number.isFinite(value);
}

function withoutUid(attributes: object | undefined): object {
  const { [RECORD_UID]: _, ...others } = copyOf(attributes) ?? {};
  return others;
}

/** Whether the record's own id is one of the first {@link MAX_ELEMENTS} attributes, which are written. */
function isAmongFirst(attributes: object): boolean {
  let before = 0;
  for (const name in attributes) {
    if (name === RECORD_UID) return true;
    if (!hasField(attributes, name)) continue;
    before++;
    if (before === MAX_ELEMENTS) return false;
  }
  return false;
}
