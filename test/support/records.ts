import { Decoder, type DecoderOptions, ExtensionCodec } from '@msgpack/msgpack';
import {
  LoggerProvider,
  type LoggerProviderOptions,
  type LogRecordExporter,
  type ReadableLogRecord,
  SimpleLogRecordProcessor,
} from '@opentelemetry/sdk-logs';
import type { WallTime } from '../../src/clock.ts';
import { BatchEncoder } from '../../src/encode/batch.ts';
import { BufferPool } from '../../src/encode/buffer-pool.ts';
import { type CreateOptions, createLayout } from '../../src/encode/layout/create.ts';
import type { Layout } from '../../src/encode/layout/layout.ts';
import type { Tagger } from '../../src/encode/tag.ts';

// ---- records ------------------------------------------------------------------------------------

/** The records that a real LoggerProvider hands to its exporter for what `emit` does. */
export async function emitted(
  options: LoggerProviderOptions,
  emit: (provider: LoggerProvider) => void,
  sdk = { LoggerProvider, SimpleLogRecordProcessor },
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

export interface EncoderOptions extends Partial<CreateOptions> {
  readonly tag?: string | Tagger;
  readonly maxChunkBytes?: number;
  readonly ceilingBytes?: number;
  readonly pool?: BufferPool;
  readonly warn?: (cause: string, message: string) => void;
}

/** A layout with the exporter's defaults. */
export function layoutWith(
  options: Partial<CreateOptions> = {},
  warn = (_cause: string, _message: string) => {},
): Layout {
  const defaults: CreateOptions = {
    layout: 'default',
    maxStringBytes: 262_144,
    resourceAttributes: true,
    fields: {},
    recordUid: false,
    eventNameAttribute: undefined,
  };
  return createLayout({ ...defaults, ...options }, warn);
}

/** An encoder with the exporter's defaults. */
export function batchEncoder(options: EncoderOptions = {}): BatchEncoder {
  const { tag = 'a.tag', maxChunkBytes = 1_000_000, ceilingBytes = 6_000_000, pool = new BufferPool() } = options;
  const { warn = () => {} } = options;
  const limits = { maxChunkBytes, ceilingBytes };
  return new BatchEncoder({ tag, limits, layout: layoutWith(options, warn), pool, warn });
}

// ---- decoding -----------------------------------------------------------------------------------

export interface DecodedEntry {
  readonly time: WallTime;
  /** What stands beside the time, where there is any. */
  readonly metadata?: Record<string, unknown>;
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
/** Stands before each key while @msgpack/msgpack decodes: it refuses keys such as `__proto__`. `exact` removes it. */
const KEY_PREFIX = '.';
const keyDecoder: NonNullable<DecoderOptions['keyDecoder']> = {
  canBeCached: () => true,
  decode: (bytes, start, length) => KEY_PREFIX + Buffer.from(bytes.subarray(start, start + length)).toString(),
};
const decoder = new Decoder({ extensionCodec, keyDecoder, useBigInt64: true });

/** Decodes with @msgpack/msgpack. Integers beyond 2^53 are bigints. */
export function decodeChunk({ bytes }: { readonly bytes: Uint8Array }): DecodedChunk {
  const [tag, payload, option] = decoder.decode(bytes) as [unknown, Uint8Array, Record<string, unknown>];
  const entries = [...decoder.decodeMulti(payload)] as [unknown, Record<string, unknown>][];
  return { tag, entries: entries.map(entryOf), payload, option: exact(option) };
}

function entryOf([head, record]: [unknown, Record<string, unknown>]): DecodedEntry {
  const [time, metadata] = head as [unknown, Record<string, unknown>];
  if (!Array.isArray(time)) return { time: head as WallTime, record: exact(record) };
  return { time: time as unknown as WallTime, metadata: exact(metadata), record: exact(record) };
}

/** Decodes the only value in `bytes`. */
export function decodeValue(bytes: Uint8Array): unknown {
  return exact(decoder.decode(bytes));
}

/** Removes the prefix of keys, and replaces bigints by numbers where these are exact. */
function exact<T>(value: T): T;
function exact(value: unknown): unknown {
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : value;
  if (Array.isArray(value)) return value.map(exact);
  // Buffers too, and without the rest of the message.
  if (value instanceof Uint8Array) return Uint8Array.from(value);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key.slice(KEY_PREFIX.length), exact(item)]));
}

/** Encodes one record alone and decodes it. */
export function roundTrip(from: ReadableLogRecord, options: EncoderOptions = {}): DecodedEntry {
  const { chunks, dropReason } = batchEncoder(options).encode([from], NOW);
  const [chunk] = chunks;
  if (chunk === undefined) throw new Error(`dropped: ${dropReason}`);
  return decodeChunk(chunk).entries[0] as DecodedEntry;
}
