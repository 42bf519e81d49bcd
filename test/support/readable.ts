import { isUtf8 } from 'node:buffer';
import type { WallTime } from '../../src/clock.ts';

const MAX_DEPTH = 50;
const INT64_MAX = 2n ** 63n - 1n;
/** The containers around a record's times in OTLP: entry, time and metadata, metadata, the map `otlp`. */
const OTLP_TIME_DEPTH = 4;
const OTLP_TIMES = ['timestamp', 'observed_timestamp'];
const GROUP_START = 0xffffffff;
const GROUP_END = 0xfffffffe;

/**
 * Throws unless `payload` is whole entries, `[time, map]`, made only of what every receiver reads:
 * no ext but a valid entry time in its place, no bin, no float that JSON cannot write, no integer above
 * 2^63 − 1, only string keys, none of them twice in a map, valid UTF-8, at most 50 nested containers.
 * Returns the number of entries.
 */
export function assertReadable(payload: Uint8Array): number {
  const bytes = bufferOf(payload);
  let entries = 0;
  for (let at = 0; at < bytes.length; entries++) {
    const { time, end } = endOfEntry(bytes, at, ANY_RECEIVER);
    assertTime(time);
    at = end;
  }
  return entries;
}

/**
 * The same for what Fluent Bit reads as OTLP: entries `[[time, map], map]`, in groups that have a
 * beginning, an end and something within; with bin that is not empty and any float, without NUL, and with
 * 64 bits without a sign only where OTLP has them, in a record's two times.
 */
export function assertReadableAsOtlp(payload: Uint8Array): number {
  const bytes = bufferOf(payload);
  let entries = 0;
  let inGroup: number | undefined;
  for (let at = 0; at < bytes.length; entries++) {
    const { time, end } = endOfEntry(bytes, at, FLUENT_BIT);
    at = end;
    if (time[0] === GROUP_START) {
      if (inGroup !== undefined) throw new Error('a group within a group');
      inGroup = 0;
    } else if (time[0] === GROUP_END) {
      if (!inGroup) throw new Error('the end of no group, or of an empty one');
      inGroup = undefined;
    } else {
      if (inGroup === undefined) throw new Error('a record outside of groups');
      inGroup++;
      assertTime(time);
    }
  }
  if (inGroup !== undefined) throw new Error('a group without an end');
  return entries;
}

/** What a receiver reads beside strings, numbers, booleans, nil and containers. */
interface Reader {
  readonly metadata: boolean;
  readonly bin: boolean;
  readonly anyFloat: boolean;
  readonly uint64: boolean;
  readonly nul: boolean;
}

const ANY_RECEIVER: Reader = { metadata: false, bin: false, anyFloat: false, uint64: false, nul: true };
const FLUENT_BIT: Reader = { metadata: true, bin: true, anyFloat: true, uint64: false, nul: false };

function bufferOf(payload: Uint8Array): Buffer {
  return Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
}

function assertTime([seconds, nanoseconds]: WallTime): void {
  if (seconds < 1 || seconds > 0xfffffffd || nanoseconds > 999_999_999) {
    throw new Error(`the time ${seconds} s, ${nanoseconds} ns`);
  }
}

function endOfEntry(bytes: Buffer, start: number, reader: Reader): { time: WallTime; end: number } {
  let at = start;
  const arrays = reader.metadata ? 2 : 1;
  for (let i = 0; i < arrays; i++) if (bytes.readUInt8(at++) !== 0x92) throw new Error('an entry is no array of two');
  if (bytes.readUInt16BE(at) !== 0xd700) throw new Error('an entry does not begin with a fixext8 of type 0');
  const time: WallTime = [bytes.readUInt32BE(at + 2), bytes.readUInt32BE(at + 6)];
  at += 10;
  if (reader.metadata) at = endOfMap(bytes, at, 2, reader);
  return { time, end: endOfMap(bytes, at, 1, reader) };
}

function endOfMap(bytes: Buffer, at: number, depth: number, reader: Reader): number {
  const type = bytes.readUInt8(at);
  if ((type & 0xf0) !== 0x80 && type !== 0xde && type !== 0xdf) throw new Error('a record is no map');
  return endOfValue(bytes, at, depth, reader);
}

/** Checks the value at `at`, which stands inside `depth` containers. */
function endOfValue(bytes: Buffer, at: number, depth: number, reader: Reader): number {
  const type = bytes.readUInt8(at);
  const next = at + 1;
  if (type <= 0x7f || type >= 0xe0) return next;
  if (type <= 0x8f) return endOfContainer(bytes, next, type & 0x0f, depth, true, reader);
  if (type <= 0x9f) return endOfContainer(bytes, next, type & 0x0f, depth, false, reader);
  if (type <= 0xbf) return endOfString(bytes, next, type & 0x1f, reader);
  switch (type) {
    case 0xc0:
    case 0xc2:
    case 0xc3:
      return next;
    case 0xc4: // bin8
    case 0xc5:
    case 0xc6: {
      if (!reader.bin) throw new Error('bin');
      const lengthBytes = 2 ** (type - 0xc4);
      const length = bytes.readUIntBE(next, lengthBytes);
      if (length === 0) throw new Error('an empty bin, which crashes Fluent Bit');
      return endWithin(bytes, next + lengthBytes, length);
    }
    case 0xcb:
      if (!reader.anyFloat && !Number.isFinite(bytes.readDoubleBE(next))) {
        throw new Error('a float that is NaN or infinite');
      }
      return next + 8;
    case 0xcf: // uint64
      if (!reader.uint64 && bytes.readBigUInt64BE(next) > INT64_MAX) throw new Error('an integer above 2^63 - 1');
      return next + 8;
    case 0xcc: // the other unsigned and signed integers
    case 0xcd:
    case 0xce:
      return next + 2 ** (type - 0xcc);
    case 0xd0:
    case 0xd1:
    case 0xd2:
    case 0xd3:
      return next + 2 ** (type - 0xd0);
    case 0xd9: // str8
      return endOfString(bytes, next + 1, bytes.readUInt8(next), reader);
    case 0xda:
      return endOfString(bytes, next + 2, bytes.readUInt16BE(next), reader);
    case 0xdb:
      return endOfString(bytes, next + 4, bytes.readUInt32BE(next), reader);
    case 0xdc: // array16, map16
    case 0xde:
      return endOfContainer(bytes, next + 2, bytes.readUInt16BE(next), depth, type === 0xde, reader);
    case 0xdd:
    case 0xdf:
      return endOfContainer(bytes, next + 4, bytes.readUInt32BE(next), depth, type === 0xdf, reader);
    default:
      throw new Error(`the type 0x${type.toString(16)}`);
  }
}

function endWithin(bytes: Buffer, start: number, length: number): number {
  if (start + length > bytes.length) throw new Error('a value that does not end');
  return start + length;
}

function endOfString(bytes: Buffer, start: number, length: number, reader: Reader): number {
  const end = endWithin(bytes, start, length);
  const text = bytes.subarray(start, end);
  if (!isUtf8(text)) throw new Error('a string that is not UTF-8');
  if (!reader.nul && text.includes(0)) throw new Error('a string with NUL');
  return end;
}

function endOfContainer(
  bytes: Buffer,
  start: number,
  size: number,
  depth: number,
  isMap: boolean,
  reader: Reader,
): number {
  if (depth === MAX_DEPTH) throw new Error(`more than ${MAX_DEPTH} nested containers`);
  let at = start;
  const keys = new Set<string>();
  for (let i = 0; i < size; i++) {
    let ofValue = reader;
    if (isMap) {
      if (!isString(bytes.readUInt8(at))) throw new Error('a key that is no string');
      const end = endOfValue(bytes, at, depth + 1, reader);
      keys.add(bytes.toString('latin1', at, end));
      if (reader.metadata && depth + 1 === OTLP_TIME_DEPTH && isOtlpTime(bytes.subarray(at + 1, end))) {
        ofValue = { ...reader, uint64: true };
      }
      at = end;
    }
    at = endOfValue(bytes, at, depth + 1, ofValue);
  }
  if (isMap && keys.size < size) throw new Error('a key that is in a map twice');
  return at;
}

/** Whether it is the name of one of a record's two times. */
function isOtlpTime(key: Buffer): boolean {
  return OTLP_TIMES.includes(key.toString('latin1'));
}

function isString(type: number): boolean {
  return (type >= 0xa0 && type <= 0xbf) || (type >= 0xd9 && type <= 0xdb);
}
