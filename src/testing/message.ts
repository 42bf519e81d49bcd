import * as zlib from 'node:zlib';
import { gunzipSync } from 'node:zlib';
import { EventTime, ValueReader } from './value-reader.ts';

/** An entry's time. */
export interface EntryTime {
  readonly seconds: number;
  readonly nanoseconds: number;
}

/** One event as a client sent it. */
export interface ReceivedEntry {
  readonly tag: string;
  readonly time: EntryTime;
  /** What Fluent Bit sends beside the time, where there is any. */
  readonly metadata?: unknown;
  /** Integers beyond 2^53 are bigints, bytes are `Uint8Array`s, and keys that are no strings become strings. */
  readonly record: unknown;
}

/** One Forward message. */
export interface ReceivedMessage {
  readonly mode: 'message' | 'forward' | 'packed' | 'compressed';
  readonly tag: string;
  readonly entries: readonly ReceivedEntry[];
  /** The id that the client wants acknowledged. */
  readonly chunk?: string;
  readonly option: Readonly<Record<string, unknown>>;
  /** Its size on the wire. */
  readonly bytes: number;
  /** Which connection brought it: 0 for the first that the receiver accepted. */
  readonly connection: number;
}

const NANOS_PER_SECOND = 1_000_000_000;

/** Above what real receivers take. */
const LIMIT = { maxOutputLength: 64 * 1024 * 1024 };

/** Decodes a message of any mode. @throws Error that says what is wrong with it. */
export function decodeMessage(bytes: Uint8Array, connection: number): ReceivedMessage {
  const message = new ValueReader(bytes).read();
  if (!Array.isArray(message)) throw new Error('the message is no array');
  const [tag, second, third, fourth] = message as unknown[];
  if (typeof tag !== 'string') throw new Error('the tag is no string');
  if (Array.isArray(second)) {
    return received(
      'forward',
      tag,
      second.map((entry) => entryOf(tag, entry)),
      third,
      bytes,
      connection,
    );
  }
  if (second instanceof Uint8Array || typeof second === 'string') {
    const payload = typeof second === 'string' ? payloadInStr(bytes) : second;
    const compressed = compressionOf(third);
    const entries = unpacked(tag, compressed === undefined ? payload : decompress(payload, compressed));
    return received(compressed === undefined ? 'packed' : 'compressed', tag, entries, third, bytes, connection);
  }
  return received('message', tag, [entryOf(tag, [second, third])], fourth, bytes, connection);
}

function received(
  mode: ReceivedMessage['mode'],
  tag: string,
  entries: ReceivedEntry[],
  option: unknown,
  bytes: Uint8Array,
  connection: number,
): ReceivedMessage {
  const options = isMap(option) ? option : {};
  const message = { mode, tag, entries, option: options, bytes: bytes.length, connection };
  return typeof options.chunk === 'string' ? { ...message, chunk: options.chunk } : message;
}

/** The entries' bytes where they came as str, which older clients send in place of bin. */
function payloadInStr(bytes: Uint8Array): Uint8Array {
  const [, payload] = new ValueReader(bytes, { rawStrings: true }).read() as [unknown, Uint8Array];
  return payload;
}

/** `text`, the protocol's name for no compression, and nil count as none. */
function compressionOf(option: unknown): unknown {
  const compressed = isMap(option) ? option.compressed : undefined;
  return compressed === 'text' || compressed === null ? undefined : compressed;
}

function unpacked(tag: string, bytes: Uint8Array): ReceivedEntry[] {
  const entries: ReceivedEntry[] = [];
  const reader = new ValueReader(bytes);
  while (!reader.isAtEnd) entries.push(entryOf(tag, reader.read()));
  return entries;
}

function entryOf(tag: string, entry: unknown): ReceivedEntry {
  if (!Array.isArray(entry) || entry.length !== 2) throw new Error('an entry is no array of two');
  const [head, record] = entry as unknown[];
  if (!Array.isArray(head)) return { tag, time: timeOf(head), record };
  return { tag, time: timeOf(head[0]), metadata: head[1], record };
}

function timeOf(time: unknown): EntryTime {
  if (typeof time === 'bigint') return { seconds: Number(time), nanoseconds: 0 };
  if (typeof time === 'number') {
    const seconds = Math.floor(time);
    return { seconds, nanoseconds: Math.floor((time - seconds) * NANOS_PER_SECOND) };
  }
  if (time instanceof EventTime) return { seconds: time.seconds, nanoseconds: time.nanoseconds };
  throw new Error('an entry has no time');
}

function decompress(bytes: Uint8Array, compressed: unknown): Uint8Array {
  switch (compressed) {
    case 'gzip':
      return gunzipSync(bytes, LIMIT);
    case 'zstd': {
      const { zstdDecompressSync } = zlib as { zstdDecompressSync?: (data: Uint8Array, options: object) => Uint8Array };
      if (zstdDecompressSync === undefined) throw new Error('this version of Node.js has no zstd');
      return zstdDecompressSync(bytes, LIMIT);
    }
    default:
      throw new Error(`the compression ${String(compressed)} is unknown`);
  }
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array);
}
