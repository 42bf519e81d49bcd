import { isUtf8 } from 'node:buffer';
import { Decoder, ExtensionCodec } from '@msgpack/msgpack';
import type {
  LoggerProvider,
  LoggerProviderOptions,
  LogRecordExporter,
  ReadableLogRecord,
} from '@opentelemetry/sdk-logs';
import type { WallTime } from '../../src/clock.ts';
import { BatchEncoder } from '../../src/encode/batch.ts';
import { BufferPool } from '../../src/encode/buffer-pool.ts';
import { DefaultLayout } from '../../src/encode/layout/default.ts';
import type { Sdk } from './sdks.ts';

// ---- records ------------------------------------------------------------------------------------

/** The records that a real LoggerProvider hands to its exporter for what `emit` does. */
export async function emitted(
  sdk: Sdk,
  options: LoggerProviderOptions,
  emit: (provider: LoggerProvider) => void,
): Promise<ReadableLogRecord[]> {
  const records: ReadableLogRecord[] = [];
  const exporter: LogRecordExporter = {
    export(batch, done) {
      records.push(...batch);
      done({ code: 0 });
    },
    forceFlush: () => Promise.resolve(),
    shutdown: () => Promise.resolve(),
  };
  const provider = new sdk.LoggerProvider({ ...options, processors: [new sdk.SimpleLogRecordProcessor({ exporter })] });
  emit(provider);
  await provider.forceFlush();
  await provider.shutdown();
  return records;
}

/** A record that encodes to `{}`, but for the fields given. They may be what the SDK never makes. */
export function record(fields: { readonly [K in keyof ReadableLogRecord]?: unknown } = {}): ReadableLogRecord {
  const defaults = {
    hrTime: [1_700_000_000, 123_456_789],
    hrTimeObserved: [0, 0],
    resource: { attributes: {} },
    instrumentationScope: { name: '' },
    attributes: {},
    droppedAttributesCount: 0,
  };
  return { ...defaults, ...fields } as unknown as ReadableLogRecord;
}

// ---- encoding -----------------------------------------------------------------------------------

/** What records without a time of their own get. */
export const NOW: WallTime = [1_600_000_000, 987_654_321];

export interface EncoderOptions {
  readonly tag?: string;
  readonly maxChunkBytes?: number;
  readonly ceilingBytes?: number;
  readonly maxStringBytes?: number;
  readonly pool?: BufferPool;
}

/** An encoder with the exporter's default limits. */
export function batchEncoder(options: EncoderOptions = {}): BatchEncoder {
  const { maxChunkBytes = 1_000_000, ceilingBytes = 6_000_000, maxStringBytes = 262_144 } = options;
  return new BatchEncoder(
    options.tag ?? 'a.tag',
    { maxChunkBytes, ceilingBytes },
    new DefaultLayout(maxStringBytes),
    options.pool ?? new BufferPool(),
  );
}

// ---- decoding -----------------------------------------------------------------------------------

export interface DecodedEntry {
  readonly time: WallTime;
  readonly record: Record<string, unknown>;
}

export interface DecodedChunk {
  readonly tag: unknown;
  readonly entries: DecodedEntry[];
  /** The entries' bytes. */
  readonly payload: Uint8Array;
  readonly option: Record<string, unknown>;
}

const extensionCodec = new ExtensionCodec();
extensionCodec.register({
  type: 0,
  encode: () => null,
  decode: (data): WallTime => {
    const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
    return [view.getUint32(0), view.getUint32(4)];
  },
});
const decoder = new Decoder({ extensionCodec, useBigInt64: true });

/** Decodes with @msgpack/msgpack. Integers beyond 2^53 are bigints, a key `__proto__` is `__prot0__`. */
export function decodeChunk({ bytes }: { readonly bytes: Uint8Array }): DecodedChunk {
  const [tag, payload, option] = decoder.decode(withoutProto(bytes)) as [unknown, Uint8Array, Record<string, unknown>];
  const entries = [...decoder.decodeMulti(payload)] as [WallTime, Record<string, unknown>][];
  return { tag, entries: entries.map(([time, record]) => ({ time, record: exact(record) })), payload, option };
}

/** Decodes the only value in `bytes`. */
export function decodeValue(bytes: Uint8Array): unknown {
  return exact(decoder.decode(withoutProto(bytes)));
}

/** @msgpack/msgpack refuses to decode the key `__proto__`, which is as good as any other on the wire. */
function withoutProto(bytes: Uint8Array): Uint8Array {
  const text = Buffer.from(bytes).toString('latin1');
  return Buffer.from(text.replaceAll('\xa9__proto__', '\xa9__prot0__'), 'latin1');
}

/** The decoder makes a bigint of every 64-bit integer; where a number is exact it reads better. */
function exact<T>(value: T): T;
function exact(value: unknown): unknown {
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : value;
  if (Array.isArray(value)) return value.map(exact);
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, exact(item)]));
}

/** Encodes one record alone and decodes it. */
export function roundTrip(from: ReadableLogRecord, options: EncoderOptions = {}): DecodedEntry {
  const { chunks, dropReason } = batchEncoder(options).encode([from], NOW);
  const [chunk] = chunks;
  if (chunk === undefined) throw new Error(`dropped: ${dropReason}`);
  return decodeChunk(chunk).entries[0] as DecodedEntry;
}

// ---- what every receiver reads --------------------------------------------------------------------

const MAX_DEPTH = 50;

/**
 * Throws unless `payload` is whole entries, `[time, map]`, made only of what every receiver reads:
 * no ext but a valid entry time in its place, no bin, no float that JSON cannot write, only string
 * keys, none of them twice in a map, valid UTF-8, at most 50 nested containers. Returns the number of entries.
 */
export function assertReadable(payload: Uint8Array): number {
  const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
  let entries = 0;
  for (let at = 0; at < bytes.length; entries++) at = endOfEntry(bytes, at);
  return entries;
}

function endOfEntry(bytes: Buffer, at: number): number {
  if (bytes.readUInt8(at) !== 0x92) throw new Error('an entry is no array of two');
  if (bytes.readUInt16BE(at + 1) !== 0xd700) throw new Error('an entry does not begin with a fixext8 of type 0');
  const seconds = bytes.readUInt32BE(at + 3);
  const nanoseconds = bytes.readUInt32BE(at + 7);
  if (seconds < 1 || seconds > 0xfffffffd || nanoseconds > 999_999_999) {
    throw new Error(`the time ${seconds} s, ${nanoseconds} ns`);
  }
  const type = bytes.readUInt8(at + 11);
  if ((type & 0xf0) !== 0x80 && type !== 0xde && type !== 0xdf) throw new Error('a record is no map');
  return endOfValue(bytes, at + 11, 1);
}

/** Checks the value at `at`, which stands inside `depth` containers. */
function endOfValue(bytes: Buffer, at: number, depth: number): number {
  const type = bytes.readUInt8(at);
  const next = at + 1;
  if (type <= 0x7f || type >= 0xe0) return next;
  if (type <= 0x8f) return endOfContainer(bytes, next, type & 0x0f, depth, true);
  if (type <= 0x9f) return endOfContainer(bytes, next, type & 0x0f, depth, false);
  if (type <= 0xbf) return endOfString(bytes, next, type & 0x1f);
  switch (type) {
    case 0xc0:
    case 0xc2:
    case 0xc3:
      return next;
    case 0xcb:
      if (!Number.isFinite(bytes.readDoubleBE(next))) throw new Error('a float that is NaN or infinite');
      return next + 8;
    case 0xcc: // unsigned and signed integers
    case 0xcd:
    case 0xce:
    case 0xcf:
      return next + 2 ** (type - 0xcc);
    case 0xd0:
    case 0xd1:
    case 0xd2:
    case 0xd3:
      return next + 2 ** (type - 0xd0);
    case 0xd9: // str8
      return endOfString(bytes, next + 1, bytes.readUInt8(next));
    case 0xda:
      return endOfString(bytes, next + 2, bytes.readUInt16BE(next));
    case 0xdb:
      return endOfString(bytes, next + 4, bytes.readUInt32BE(next));
    case 0xdc: // array16, map16
    case 0xde:
      return endOfContainer(bytes, next + 2, bytes.readUInt16BE(next), depth, type === 0xde);
    case 0xdd:
    case 0xdf:
      return endOfContainer(bytes, next + 4, bytes.readUInt32BE(next), depth, type === 0xdf);
    default:
      throw new Error(`the type 0x${type.toString(16)}`);
  }
}

function endOfString(bytes: Buffer, start: number, length: number): number {
  const text = bytes.subarray(start, start + length);
  if (text.length < length) throw new Error('a string that does not end');
  if (!isUtf8(text)) throw new Error('a string that is not UTF-8');
  return start + length;
}

function endOfContainer(bytes: Buffer, start: number, size: number, depth: number, isMap: boolean): number {
  if (depth === MAX_DEPTH) throw new Error(`more than ${MAX_DEPTH} nested containers`);
  let at = start;
  const keys = new Set<string>();
  for (let i = 0; i < size; i++) {
    if (isMap) {
      if (!isString(bytes.readUInt8(at))) throw new Error('a key that is no string');
      const end = endOfValue(bytes, at, depth + 1);
      keys.add(bytes.toString('latin1', at, end));
      at = end;
    }
    at = endOfValue(bytes, at, depth + 1);
  }
  if (isMap && keys.size < size) throw new Error('a key that is in a map twice');
  return at;
}

function isString(type: number): boolean {
  return (type >= 0xa0 && type <= 0xbf) || (type >= 0xd9 && type <= 0xdb);
}
