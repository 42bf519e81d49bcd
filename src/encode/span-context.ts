import { isObject } from './field.ts';
import { KEY, type Key } from './layout/keys.ts';
import type { Writer } from './writer.ts';

const TRACE_ID_LENGTH = 32;
const SPAN_ID_LENGTH = 16;

/** Puts the parts of a span context into `Out`. */
export interface SpanContextFormat<Out> {
  /** Returns the number of fields: 0 if `id` is not valid. */
  id(out: Out, key: Key, id: string): 0 | 1;
  /** `flags` has 8 bits. */
  flags(out: Out, key: Key, flags: number): void;
}

/**
 * Puts a span context into `out`. Returns the number of fields. Invalid ids are left out, and so are flags without
 * an id.
 */
export function spanContext<Out>({ id, flags }: SpanContextFormat<Out>, out: Out, context: unknown): number {
  if (!isObject(context)) return 0;
  const { traceId, spanId, traceFlags } = context as Record<string, unknown>;
  let ids = 0;
  if (hasLength(traceId, TRACE_ID_LENGTH)) ids += id(out, KEY.trace_id, traceId);
  if (hasLength(spanId, SPAN_ID_LENGTH)) ids += id(out, KEY.span_id, spanId);
  if (ids === 0 || !Number.isInteger(traceFlags)) return ids;
  flags(out, KEY.trace_flags, (traceFlags as number) & 0xff);
  return ids + 1;
}

function hasLength(id: unknown, length: number): id is string {
  return typeof id === 'string' && id.length === length;
}

/** The fields as OpenTelemetry's "Trace Context in non-OTLP Log Formats" names and writes them. */
export const HEX: SpanContextFormat<Writer> = {
  id(writer, { bytes: key }, id) {
    const { length } = id;
    const header = length > MAX_FIXSTR_LENGTH ? 2 : 1;
    writer.reserve(key.length + header + length);
    const start = writer.position + key.length + header;
    if (!putDigits(writer.buffer, start, id)) return 0;
    writer.raw(key);
    const { buffer } = writer;
    if (header === 2) buffer[start - 2] = STR8;
    buffer[start - 1] = header === 2 ? length : FIXSTR | length;
    writer.position = start + length;
    return 1;
  },
  flags(writer, key, flags) {
    writer.raw(key.bytes);
    writer.string(FLAGS[flags] as string);
  },
};

/** The same for an entry that is an object. */
export const HEX_TEXT: SpanContextFormat<Record<string, unknown>> = {
  id(entry, { name }, id) {
    if (!putDigits(SCRATCH, 0, id)) return 0;
    entry[name] = SCRATCH.toString('latin1', 0, id.length);
    return 1;
  },
  flags(entry, { name }, flags) {
    entry[name] = FLAGS[flags];
  },
};

/** Ids as bytes and flags as an integer, as OTLP has them. */
export const BINARY: SpanContextFormat<Writer> = {
  id(writer, { bytes: key }, id) {
    const { length } = id;
    // Room for the digits, whose bytes then take their place.
    writer.reserve(key.length + 2 + length);
    const start = writer.position + key.length + 2;
    const { buffer } = writer;
    if (!putDigits(buffer, start, id)) return 0;
    const bytes = length / 2;
    for (let i = 0; i < bytes; i++) buffer[start + i] = byteOf(buffer, start + 2 * i);
    writer.raw(key);
    buffer[start - 2] = BIN8;
    buffer[start - 1] = bytes;
    writer.position = start + bytes;
    return 1;
  },
  flags(writer, key, flags) {
    writer.raw(key.bytes);
    writer.number(flags);
  },
};

const FLAGS: readonly string[] = Array.from({ length: 256 }, (_, flags) => flags.toString(16).padStart(2, '0'));

/** For each byte: the hexadecimal digit in lower case, or 0 if the byte is not a hexadecimal digit. */
const DIGITS = new Uint8Array(256);
for (const digit of '0123456789abcdef') {
  DIGITS[digit.charCodeAt(0)] = digit.charCodeAt(0);
  DIGITS[digit.toUpperCase().charCodeAt(0)] = digit.charCodeAt(0);
}
const ZERO = 0x30;
const FIXSTR = 0xa0;
const STR8 = 0xd9;
const BIN8 = 0xc4;
const MAX_FIXSTR_LENGTH = 31;
/** For an id that does not go into a message. */
const SCRATCH = Buffer.alloc(TRACE_ID_LENGTH);

/** Puts `id` into `buffer` in lower case. Returns false unless all are hexadecimal digits, and not all are zero. */
function putDigits(buffer: Buffer, start: number, id: string): boolean {
  let codes = 0;
  let missing = 0;
  let nonZero = 0;
  // Checks all digits together, because a branch for each digit is slower.
  for (let i = 0; i < id.length; i++) {
    const code = id.charCodeAt(i);
    const digit = DIGITS[code & 0xff] as number;
    codes |= code;
    missing |= digit - 1;
    nonZero |= digit ^ ZERO;
    buffer[start + i] = digit;
  }
  return codes <= 0xff && missing >= 0 && nonZero !== 0;
}

function byteOf(buffer: Buffer, digit: number): number {
  return (halfByteOf(buffer[digit] as number) << 4) | halfByteOf(buffer[digit + 1] as number);
}

/** The value of a digit in lower case. */
function halfByteOf(digit: number): number {
  return digit <= 0x39 ? digit - ZERO : digit - 0x57;
}
