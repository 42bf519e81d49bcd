import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { decodeMessage } from '../../src/testing/message.ts';

// What Fluent Bit 5.1.1 itself sent for one OTLP record.
function fixture(name: string): Buffer {
  const text = readFileSync(new URL(`../fixtures/${name}.hex`, import.meta.url), 'utf8');
  return Buffer.from(text.replaceAll(/\s/g, ''), 'hex');
}

const TIME = { seconds: 1_700_000_000, nanoseconds: 123_456_789 };
const TAG = 'v1_logs';

const OTLP_ENTRIES = [
  {
    tag: TAG,
    time: { seconds: 0xffffffff, nanoseconds: 0 },
    metadata: { schema: 'otlp', resource_id: 0, scope_id: 0 },
    record: {
      resource: { attributes: { 'service.name': 'svc' }, schema_url: 'https://r' },
      scope: { schema_url: 'https://s', name: 'lib', version: '1.0' },
    },
  },
  {
    tag: TAG,
    time: TIME,
    metadata: {
      otlp: {
        observed_timestamp: 1_700_000_000_223_456_789n,
        timestamp: 1_700_000_000_123_456_789n,
        severity_number: 17,
        severity_text: 'ERROR',
        attributes: { k: 'v' },
        trace_id: bytes('0af7651916cd43dd8448eb211c80319c'),
        span_id: bytes('b7ad6b7169203331'),
        trace_flags: 1,
        event_name: 'ev',
      },
    },
    record: { log: 'hello' },
  },
  { tag: TAG, time: { seconds: 0xfffffffe, nanoseconds: 0 }, metadata: {}, record: {} },
];

function bytes(hex: string): Uint8Array {
  return Uint8Array.from(Buffer.from(hex, 'hex'));
}

describe('decodeMessage', () => {
  it.each([
    ['forward-mode-plain', 'forward', [{ tag: TAG, time: TIME, record: { log: 'hello' } }], {}],
    ['forward-mode-otlp', 'forward', OTLP_ENTRIES, {}],
    ['compressed-packed-forward-otlp', 'compressed', OTLP_ENTRIES, { compressed: 'gzip' }],
  ])('decodeMessage decodes a message that Fluent Bit sent: %s', (name, mode, entries, option) => {
    const data = fixture(name);
    const message = decodeMessage(data, 7);
    expect(message).toMatchObject({ mode, tag: TAG, bytes: data.length, connection: 7 });
    expect(message.entries.map((entry) => normal(entry))).toStrictEqual(entries);
    expect(message.chunk).toMatch(/^[A-Za-z0-9+/]{22}==$/);
    expect(message.option).toStrictEqual({ chunk: message.chunk, size: entries.length, fluent_signal: 0, ...option });
  });
});

/** Views of the message's bytes, as Buffers or not, become Uint8Arrays of their own. */
function normal(value: unknown): unknown {
  if (value instanceof Uint8Array) return Uint8Array.from(value);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, normal(item)]));
}
