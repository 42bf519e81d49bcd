import { randomFillSync } from 'node:crypto';
import { encode } from '@msgpack/msgpack';
import type { WallTime } from '../clock.ts';
import { hasField } from './field.ts';
import type { Writer } from './writer.ts';

/** The semantic conventions' name: records of the same id are duplicates. */
export const RECORD_UID = 'log.record.uid';

const KEY = encode(RECORD_UID);
/** Crockford's base 32, whose characters sort as their values do. */
const DIGITS = Buffer.from('0123456789ABCDEFGHJKMNPQRSTVWXYZ');
const TIME_DIGITS = 10;
const UID_DIGITS = 26;

/**
 * Makes ids for records: ULIDs, of a record's time in milliseconds and of 80 bits that begin at random
 * and go up by one with each id. So they sort by time, and within a millisecond in their order.
 */
export class RecordUids {
  readonly #values: Uint8Array = randomFillSync(new Uint8Array(UID_DIGITS)).map((byte) => byte % 32);
  readonly #text: Buffer = Buffer.alloc(UID_DIGITS);
  #millis = -1;

  constructor() {
    // The highest bit is free, so that they never go back to zero.
    this.#values[TIME_DIGITS] = (this.#values[TIME_DIGITS] as number) % 16;
    for (let i = TIME_DIGITS; i < UID_DIGITS; i++) this.#set(i, this.#values[i] as number);
  }

  /** Writes the field, unless it is one of the `attributes`; returns how many it wrote. */
  write(writer: Writer, attributes: object | undefined, time: WallTime): 0 | 1 {
    if (hasField(attributes, RECORD_UID)) return 0;
    writer.raw(KEY);
    writer.string(this.next(time));
    return 1;
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
