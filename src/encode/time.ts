import type { WallTime } from '../clock.ts';
import type { Key } from './layout/keys.ts';
import type { Writer } from './writer.ts';

const NANOS_PER_SECOND = 1_000_000_000;
/** Fluentd replaces second 0 by its own time. Fluent Bit reserves the two highest seconds for group markers. */
const MIN_SECONDS = 1;
const MAX_SECONDS = 0xfffffffd;
/** The time of records on a machine whose clock is at 1970. */
const FIRST_TIME: WallTime = [MIN_SECONDS, 0];
/** The end of the year 9999, the last one in RFC 3339. */
const MAX_RFC3339_SECONDS = 253_402_300_799;

/**
 * The time that {@link read} has read. Callers use it before anything else can read another one. If `read()` returned
 * an array instead, the encoding would take as long, but allocate 150 bytes a record and not 23 (Node.js 20).
 */
const last = { seconds: 0, nanoseconds: 0 };

/** Reads a time into `last`, `[1, 2e9]` as `[3, 0]`. Returns false if it is not a time. */
function read(time: unknown): boolean {
  if (!Array.isArray(time)) return false;
  // Not by destructuring, which calls the array's iterator. Each once, because a getter could return another value
  // later.
  const seconds: unknown = time[0];
  const nanoseconds: unknown = time[1];
  if (typeof seconds !== 'number' || typeof nanoseconds !== 'number') return false;
  // The usual case needs no arithmetic.
  if (
    Number.isInteger(seconds) &&
    Number.isInteger(nanoseconds) &&
    nanoseconds >= 0 &&
    nanoseconds < NANOS_PER_SECOND
  ) {
    return keep(seconds, nanoseconds);
  }
  if (!Number.isFinite(seconds) || !Number.isFinite(nanoseconds)) return false;
  const wholeSeconds = Math.floor(seconds);
  const nanos = Math.floor((seconds - wholeSeconds) * NANOS_PER_SECOND + nanoseconds);
  // A remainder is exact where a quotient of large numbers is not: this one is always below a second.
  const rest = ((nanos % NANOS_PER_SECOND) + NANOS_PER_SECOND) % NANOS_PER_SECOND;
  return keep(wholeSeconds + Math.round((nanos - rest) / NANOS_PER_SECOND), rest);
}

function keep(seconds: number, nanoseconds: number): true {
  last.seconds = seconds;
  last.nanoseconds = nanoseconds;
  return true;
}

function readEntryTime(time: unknown): boolean {
  return read(time) && last.seconds >= MIN_SECONDS && last.seconds <= MAX_SECONDS;
}

/** Reads into `last` the first of the record's, the observed and the present time that a receiver can read. */
function chooseEntryTime(recordTime: unknown, observedTime: unknown, now: WallTime): void {
  if (readEntryTime(recordTime) || readEntryTime(observedTime) || readEntryTime(now)) return;
  read(FIRST_TIME);
}

/** An entry's time: the first of the record's, the observed and the present time that a receiver can read. */
export function entryTime(recordTime: unknown, observedTime: unknown, now: WallTime): WallTime {
  chooseEntryTime(recordTime, observedTime, now);
  return [last.seconds, last.nanoseconds];
}

/** Writes an entry's time. */
export function writeEntryTime(writer: Writer, recordTime: unknown, observedTime: unknown, now: WallTime): void {
  chooseEntryTime(recordTime, observedTime, now);
  writer.eventTime(last.seconds, last.nanoseconds);
}

/** Reads a time into `last`. Returns false unless it is after the first instant of 1970 and at most `maxSeconds`. */
function readWithin(maxSeconds: number, time: unknown): boolean {
  if (!read(time)) return false;
  const { seconds, nanoseconds } = last;
  return seconds >= 0 && seconds <= maxSeconds && (seconds > 0 || nanoseconds > 0);
}

/** The last whole second whose nanoseconds since 1970 have 64 bits. */
const MAX_UINT64_SECONDS = 18_446_744_072;

/**
 * Writes `time` after `key` as nanoseconds since 1970. Returns false, with nothing written, if it is unset or has none.
 */
export function unixNanos(writer: Writer, key: Key, time: unknown): boolean {
  if (!readWithin(MAX_UINT64_SECONDS, time)) return false;
  const { seconds, nanoseconds } = last;
  // Computed in two parts, each of them exact: seconds = high * 2^16 + low.
  const high = Math.floor(seconds / 0x1_0000) * NANOS_PER_SECOND;
  const low = (seconds % 0x1_0000) * NANOS_PER_SECOND + nanoseconds + (high % 0x1_0000) * 0x1_0000;
  writer.raw(key.bytes);
  writer.uint64(Math.floor(high / 0x1_0000) + Math.floor(low / 0x1_0000_0000), low % 0x1_0000_0000);
  return true;
}

const EPOCH = '1970-01-01T00:00:00.000000000Z';
const DATE_TIME_LENGTH = '1970-01-01T00:00:00'.length;

/** RFC 3339 with nanoseconds. Keeps the text of the last time, because its second is often that of the next one. */
export class Rfc3339 {
  #second = 0;
  /** The text as a MessagePack string. */
  readonly #encoded: Buffer = Buffer.from([0xa0 | EPOCH.length, ...Buffer.from(EPOCH)]);

  /** Writes `time` after `key`. Returns false, with nothing written, if it is unset or not a time. */
  write(writer: Writer, key: Key, time: unknown): boolean {
    if (!this.#encode(time)) return false;
    writer.raw(key.bytes);
    writer.raw(this.#encoded);
    return true;
  }

  /** The text of `time`, or `undefined` if it is unset or not a time. */
  text(time: unknown): string | undefined {
    return this.#encode(time) ? this.#encoded.toString('latin1', 1) : undefined;
  }

  #encode(time: unknown): boolean {
    if (!readWithin(MAX_RFC3339_SECONDS, time)) return false;
    const { seconds: second, nanoseconds } = last;
    const encoded = this.#encoded;
    if (second !== this.#second) {
      encoded.write(new Date(second * 1000).toISOString(), 1, DATE_TIME_LENGTH, 'latin1');
      this.#second = second;
    }
    let rest = nanoseconds;
    for (let at = EPOCH.length - 1; at > EPOCH.length - 10; at--) {
      // Both are integers of 32 bits, so that this is not a division in floating point.
      const quotient = (rest / 10) | 0;
      encoded[at] = 0x30 + rest - quotient * 10;
      rest = quotient;
    }
    return true;
  }
}
