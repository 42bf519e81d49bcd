import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import { isObject } from './field.ts';
import { KEY } from './layout/keys.ts';
import type { Writer } from './writer.ts';

/**
 * Writes the three fields as OpenTelemetry's "Trace Context in non-OTLP Log Formats" names and
 * writes them; returns how many. Invalid ids are left out.
 */
export function spanContext(writer: Writer, context: ReadableLogRecord['spanContext']): number {
  if (!isObject(context)) return 0;
  const { traceId, spanId, traceFlags } = context;
  let size = 0;
  if (hexId(writer, KEY.trace_id, traceId, 32)) size++;
  if (hexId(writer, KEY.span_id, spanId, 16)) size++;
  if (size > 0 && Number.isInteger(traceFlags)) {
    writer.raw(KEY.trace_flags);
    writer.string(flagsText(traceFlags));
    size++;
  }
  return size;
}

/** The fields that {@link spanContext} writes. */
export function spanContextFields(context: unknown): Readonly<Record<string, string>> {
  if (!isObject(context)) return {};
  const { traceId, spanId, traceFlags } = context as Record<string, unknown>;
  const fields: Record<string, string> = {};
  if (isHexId(traceId, 32)) fields.trace_id = traceId.toLowerCase();
  if (isHexId(spanId, 16)) fields.span_id = spanId.toLowerCase();
  const isTraced = fields.trace_id !== undefined || fields.span_id !== undefined;
  if (isTraced && Number.isInteger(traceFlags)) fields.trace_flags = flagsText(traceFlags as number);
  return fields;
}

/** Writes the same with ids as bytes and flags as an integer, as OTLP has them; returns how many fields. */
export function binarySpanContext(writer: Writer, context: unknown): number {
  if (!isObject(context)) return 0;
  const { traceId, spanId, traceFlags } = context as Record<string, unknown>;
  let size = 0;
  if (binaryId(writer, KEY.trace_id, traceId, 32)) size++;
  if (binaryId(writer, KEY.span_id, spanId, 16)) size++;
  if (size > 0 && Number.isInteger(traceFlags)) {
    writer.raw(KEY.trace_flags);
    writer.number((traceFlags as number) & 0xff);
    size++;
  }
  return size;
}

const FLAGS: readonly string[] = Array.from({ length: 256 }, (_, flags) => flags.toString(16).padStart(2, '0'));

function flagsText(flags: number): string {
  return FLAGS[flags & 0xff] as string;
}

/** Whether it is an id of `length` hexadecimal digits of which not all are zero. */
function isHexId(id: unknown, length: 16 | 32): id is string {
  return typeof id === 'string' && id.length === length && /^[0-9a-f]*$/i.test(id) && !/^0*$/.test(id);
}

/** For each byte: what it is as a hexadecimal digit in lower case; 0 for one that is none. */
const DIGITS = new Uint8Array(256);
for (const digit of '0123456789abcdef') {
  DIGITS[digit.charCodeAt(0)] = digit.charCodeAt(0);
  DIGITS[digit.toUpperCase().charCodeAt(0)] = digit.charCodeAt(0);
}
const ZERO = 0x30;
const FIXSTR = 0xa0;
const STR8 = 0xd9;

/** Writes an id of `length` hexadecimal digits in lower case; nothing when it is not one, or all zeros. */
function hexId(writer: Writer, key: Uint8Array, id: unknown, length: 16 | 32): boolean {
  if (typeof id !== 'string' || id.length !== length) return false;
  const start = writer.position;
  writer.raw(key);
  writer.reserve(2 + length);
  const { buffer } = writer;
  let at = writer.position;
  if (length === 32) buffer[at++] = STR8;
  buffer[at++] = length === 32 ? length : FIXSTR | length;
  let codes = 0;
  let missing = 0;
  let nonZero = 0;
  // Without a branch for each digit.
  for (let i = 0; i < length; i++) {
    const code = id.charCodeAt(i);
    const digit = DIGITS[code & 0xff] as number;
    codes |= code;
    missing |= digit - 1;
    nonZero |= digit ^ ZERO;
    buffer[at + i] = digit;
  }
  const isId = codes <= 0xff && missing >= 0 && nonZero !== 0;
  writer.position = isId ? at + length : start;
  return isId;
}

const BIN8 = 0xc4;

/** Writes an id of `length` hexadecimal digits as bytes; nothing when it is not one, or all zeros. */
function binaryId(writer: Writer, key: Uint8Array, id: unknown, length: 16 | 32): boolean {
  const start = writer.position + key.length;
  if (!hexId(writer, key, id, length)) return false;
  // In the place of its own text, which is read before it is overwritten; the header last, as it may lie on the text.
  const { buffer, position } = writer;
  let at = start + 2;
  for (let digit = position - length; digit < position; digit += 2) buffer[at++] = byteOf(buffer, digit);
  buffer[start] = BIN8;
  buffer[start + 1] = length / 2;
  writer.position = at;
  return true;
}

function byteOf(buffer: Buffer, digit: number): number {
  return (halfByteOf(buffer[digit] as number) << 4) | halfByteOf(buffer[digit + 1] as number);
}

/** What a digit in lower case stands for. */
function halfByteOf(digit: number): number {
  return digit <= 0x39 ? digit - ZERO : digit - 0x57;
}
