import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { encode as encodeValue } from '@msgpack/msgpack';
import { ROOT_CONTEXT, trace } from '@opentelemetry/api';
import { SeverityNumber } from '@opentelemetry/api-logs';
import { resourceFromAttributes } from '@opentelemetry/resources';
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import type { EncodedBatch } from '../../../src/encode/batch.ts';
import { decodeMessage } from '../../../src/testing/message.ts';
import { assertReadableAsOtlp } from '../../support/readable.ts';
import {
  batchEncoder,
  type DecodedEntry,
  decodeChunk,
  type EncoderOptions,
  emitted,
  NOW,
  record,
} from '../../support/records.ts';
import { RUNS } from '../../support/runs.ts';

type Fields = Parameters<typeof record>[0];

const GROUP_START = 0xffffffff;
const GROUP_END = 0xfffffffe;

function encode(records: readonly Fields[], options: EncoderOptions = {}): EncodedBatch {
  const batch = batchEncoder({ layout: 'otlp', ...options }).encode(
    records.map((fields) => record(fields)),
    NOW,
  );
  for (const chunk of batch.chunks) {
    const { option, payload } = decodeChunk(chunk);
    expect(assertReadableAsOtlp(payload)).toBe(option.size);
  }
  return batch;
}

function entriesOf({ chunks }: EncodedBatch): DecodedEntry[] {
  return chunks.flatMap((chunk) => decodeChunk(chunk).entries);
}

/** The only record's own entry. */
function only(fields: Fields, options: EncoderOptions = {}): DecodedEntry {
  const [, entry] = entriesOf(encode([fields], options)) as [DecodedEntry, DecodedEntry];
  return entry;
}

function otlp(fields: Fields, options: EncoderOptions = {}): Record<string, unknown> {
  return only(fields, options).metadata?.otlp as Record<string, unknown>;
}

/** What the entries say, a line for each: groups with their resource and scope, records with their body. */
function outline(entries: readonly DecodedEntry[]): string[] {
  return entries.map(({ time: [seconds], record }) => {
    if (seconds === GROUP_END) return 'end';
    if (seconds !== GROUP_START) return String(record.log);
    const { resource, scope } = record as { resource: { attributes?: { r?: string } }; scope: { name?: string } };
    return `${resource.attributes?.r ?? '-'} ${scope.name ?? '-'}`;
  });
}

describe('records from the SDK', () => {
  async function fixtureRecord() {
    const resource = resourceFromAttributes({ 'service.name': 'svc' }, { schemaUrl: 'https://r' });
    const [made] = await emitted({ resource }, (provider) => {
      provider.getLogger('lib', '1.0', { schemaUrl: 'https://s' }).emit({
        timestamp: [1_700_000_000, 123_456_789],
        observedTimestamp: [1_700_000_000, 223_456_789],
        severityNumber: SeverityNumber.ERROR,
        severityText: 'ERROR',
        eventName: 'ev',
        body: 'hello',
        attributes: { k: 'v' },
        context: trace.setSpanContext(ROOT_CONTEXT, {
          traceId: '0af7651916cd43dd8448eb211c80319c',
          spanId: 'b7ad6b7169203331',
          traceFlags: 1,
        }),
      });
    });
    return made as NonNullable<typeof made>;
  }

  it.each(['forward-mode-otlp', 'compressed-packed-forward-otlp'])(
    'the layout otlp writes the same entries as Fluent Bit itself sends: %s',
    async (name) => {
      const hex = readFileSync(new URL(`../../fixtures/${name}.hex`, import.meta.url), 'utf8').replaceAll(/\s/g, '');
      const fixture = decodeMessage(Buffer.from(hex, 'hex'), 0);
      const { chunks } = batchEncoder({ layout: 'otlp' }).encode([await fixtureRecord()], NOW);
      const ours = decodeMessage((chunks[0] as (typeof chunks)[0]).bytes, 0);
      expect(normal(ours.entries)).toEqual(normal(fixture.entries));
      expect(ours.option).toEqual({ size: fixture.option.size, chunk: chunks[0]?.id });
      expect(chunks[0]?.records).toBe(1);
    },
  );
});

/** Entries with the ids of resource and scope, which are ours, as Fluent Bit counts them, and without the tag. */
function normal(value: unknown): unknown {
  if (value instanceof Uint8Array) return Uint8Array.from(value);
  if (Array.isArray(value)) return value.map(normal);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).filter(([key]) => key !== 'tag');
  return Object.fromEntries(entries.map(([key, item]) => [key, /^(resource|scope)_id$/.test(key) ? 0 : normal(item)]));
}

describe('fields in the layout otlp', () => {
  it('the layout otlp always writes a body, and no key for other fields that are not set', () => {
    expect(only({})).toStrictEqual({
      time: [1_700_000_000, 123_456_789],
      metadata: { otlp: { timestamp: 1_700_000_000_123_456_789n } },
      record: { log: null },
    });
  });

  it.each([
    [[1, 0], 1_000_000_000n],
    [[0, 1], 1n],
    [[5, 2e9], 7_000_000_000n],
    [[0xffff, 999_999_999], 65_535_999_999_999n],
    [[0x1_0000, 0], 65_536_000_000_000n],
    [[2 ** 33, 1], 8_589_934_592_000_000_001n],
    [[18_446_744_072, 999_999_999], 18_446_744_072_999_999_999n],
    [[18_446_744_073, 0], undefined],
    [[-1, 0], undefined],
    [[0, 0], undefined],
    ['now', undefined],
  ])('the layout otlp writes a time as nanoseconds, or nothing when it is invalid: %j as %s', (time, expected) => {
    const number = (value: unknown) => (value === undefined ? undefined : BigInt(value as number));
    expect(number(otlp({ hrTime: time }).timestamp)).toBe(expected);
    expect(number(otlp({ hrTimeObserved: time }).observed_timestamp)).toBe(expected);
  });

  it('the layout otlp writes every valid time exactly and as uint64', () => {
    const property = fc.property(fc.nat(18_446_744_072), fc.nat(999_999_999), (seconds, nanoseconds) => {
      const chunk = encode([{ hrTime: [seconds, nanoseconds], hrTimeObserved: [1, 0] }]).chunks[0];
      const bytes = Buffer.from(chunk?.bytes ?? []);
      const at = bytes.indexOf('timestamp', bytes.indexOf('observed_timestamp') + 10);
      expect(bytes[bytes.indexOf('observed_timestamp') + 18]).toBe(0xcf);
      if (seconds === 0 && nanoseconds === 0) return;
      expect(bytes[at + 9]).toBe(0xcf);
      expect(bytes.readBigUInt64BE(at + 10)).toBe(BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds));
    });
    fc.assert(property, RUNS);
  });

  it('the layout otlp keeps a timestamp beyond 32 bits although the time of the entry falls back', () => {
    expect(only({ hrTime: [2 ** 32, 5], hrTimeObserved: [7, 8] })).toMatchObject({
      time: [7, 8],
      metadata: { otlp: { timestamp: 4_294_967_296_000_000_005n } },
    });
  });

  it.each([
    [
      { traceId: 'AB'.repeat(16), spanId: 'cd'.repeat(8), traceFlags: 257 },
      { trace_id: 0xab, span_id: 0xcd, trace_flags: 1 },
    ],
    [
      { traceId: 'ab'.repeat(16), spanId: '0'.repeat(16), traceFlags: 0 },
      { trace_id: 0xab, trace_flags: 0 },
    ],
    [{ traceId: 'ab'.repeat(16), spanId: 'c'.repeat(15), traceFlags: Number.NaN }, { trace_id: 0xab }],
    [{ traceId: 'zz'.repeat(16), spanId: 'cd'.repeat(8) }, { span_id: 0xcd }],
    [{ traceId: '0'.repeat(32), spanId: 5, traceFlags: 1 }, {}],
    [null, {}],
  ])('the layout otlp writes valid ids as bytes and leaves invalid ones out: %j', (spanContext, expected) => {
    const { trace_id, span_id, ...flags } = expected as Record<string, number>;
    const { timestamp: _, ...fields } = otlp({ spanContext });
    expect(fields).toStrictEqual({
      ...(trace_id === undefined ? {} : { trace_id: new Uint8Array(16).fill(trace_id) }),
      ...(span_id === undefined ? {} : { span_id: new Uint8Array(8).fill(span_id) }),
      ...flags,
    });
  });

  it.each<[string, unknown, unknown]>([
    ['string', 's', 's'],
    ['integer', 42, 42],
    ['largest safe integer', 2 ** 53 - 1, 2 ** 53 - 1],
    ['-0', -0, -0],
    ['NaN', Number.NaN, Number.NaN],
    ['Infinity', Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY],
    ['-Infinity', Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY],
    ['float', 0.1, 0.1],
    ['smallest int64', -(2n ** 63n), -(2n ** 63n)],
    ['largest int64', 2n ** 63n - 1n, 2n ** 63n - 1n],
    ['BigInt beyond', 2n ** 63n, '9223372036854775808'],
    ['BigInt below', -(2n ** 63n) - 1n, '-9223372036854775809'],
    ['bytes', Uint8Array.of(0, 255, 1), Uint8Array.of(0, 255, 1)],
    ['no bytes', new Uint8Array(0), ''],
    ['300 bytes', new Uint8Array(300).fill(7), new Uint8Array(300).fill(7)],
    ['70,000 bytes', Buffer.alloc(70_000, 7), new Uint8Array(70_000).fill(7)],
    ['more bytes than a string may have', new Uint8Array(262_145), `${'A'.repeat(262_104)}…[truncated 65567 bytes]`],
    ['null', null, null],
    ['boolean', false, false],
    ['array', [1, [Uint8Array.of(1)], {}, []], [1, [Uint8Array.of(1)], {}, []]],
    ['map', { a: { b: -0 }, c: {} }, { a: { b: -0 }, c: {} }],
    ['text behind NUL', 'a\0b\0', 'a␀b␀'],
    ['NUL in keys', { 'a\0': 1, 'a␀': 2, '\0': 3 }, { 'a␀ (2)': 1, 'a␀': 2, '␀': 3 }],
    [
      'NUL in the keys of a Map',
      new Map([
        ['a\0', 1],
        ['a␀', 2],
      ]),
      { 'a␀': 1, 'a␀ (2)': 2 },
    ],
    ['Date', new Date(0), '1970-01-01T00:00:00.000Z'],
  ])('the layout otlp writes a body and an attribute as values of OTLP: %s', (_, value, expected) => {
    expect(only({ body: value }).record).toStrictEqual({ log: expected });
    expect(otlp({ attributes: { value } }).attributes).toStrictEqual({ value: expected });
  });

  it.each<[string, () => unknown]>([
    ['Uint8Array', () => new Uint8Array(0)],
    ['part of a Uint8Array', () => Uint8Array.of(1, 2).subarray(1, 1)],
    ['Buffer', () => Buffer.alloc(0)],
    ['Uint8ClampedArray', () => new Uint8ClampedArray(0)],
    ['DataView', () => new DataView(new ArrayBuffer(4), 4)],
    ['ArrayBuffer', () => new ArrayBuffer(0)],
    ['SharedArrayBuffer', () => new SharedArrayBuffer(0)],
  ])('the layout otlp writes an empty string for bytes of length 0 wherever they are: %s', (_, empty) => {
    const nested = () => ({ value: empty(), list: [empty(), [empty()]], map: new Map([['a', { b: empty() }]]) });
    const expected = { value: '', list: ['', ['']], map: { a: { b: '' } } };
    const fields = { field: nested() };
    const resource = { attributes: nested() };
    const instrumentationScope = { name: 'n', attributes: nested() };
    const batch = encode([{ body: empty(), attributes: nested(), resource, instrumentationScope }], { fields });
    const [header, entry] = entriesOf(batch) as [DecodedEntry, DecodedEntry];
    expect(header.record).toStrictEqual({
      resource: { attributes: expected },
      scope: { name: 'n', attributes: expected },
    });
    expect(entry.record).toStrictEqual({ log: '' });
    expect(entry.metadata).toMatchObject({ otlp: { attributes: { ...expected, field: expected } } });
  });

  it.each<[string, string, string]>([
    ['NUL', '\0'.repeat(1_000_000), `${'␀'.repeat(87_368)}…[truncated 2737896 bytes]`],
    ['text and NUL', 'a\0é'.repeat(300_000), `${'a␀é'.repeat(43_684)}…[truncated 1537896 bytes]`],
    ['NUL behind the cut', `${'a'.repeat(300_000)}\0`, `${'a'.repeat(262_104)}…[truncated 37899 bytes]`],
    [
      'NUL in a string that just does not fit',
      `${'a'.repeat(262_142)}\0`,
      `${'a'.repeat(262_104)}…[truncated 41 bytes]`,
    ],
  ])('the layout otlp replaces NUL only in the part that it keeps of a long string: %s', (_, text, expected) => {
    const replaceAll = vi.spyOn(String.prototype, 'replaceAll');
    const batch = batchEncoder({ layout: 'otlp' }).encode([record({ body: text, attributes: { [text]: text } })], NOW);
    const lengths = replaceAll.mock.contexts.map((text) => (text as string).length);
    replaceAll.mockRestore();
    const [, entry] = entriesOf(batch) as [DecodedEntry, DecodedEntry];
    expect(entry.record.log).toBe(expected);
    expect(entry.metadata).toMatchObject({ otlp: { attributes: { [expected]: expected } } });
    expect(Math.max(0, ...lengths)).toBeLessThanOrEqual(262_144);
  });

  it('the layout otlp replaces NUL in a key also after another layout has written that key many times', () => {
    const given = record({ attributes: { 'shared\0key': 1 } });
    batchEncoder().encode(new Array(5_000).fill(given), NOW);
    expect(otlp({ attributes: given.attributes }).attributes).toEqual({ 'shared␀key': 1 });
  });

  it('the layout otlp counts the containers around a body or an attribute towards the limit of 50', () => {
    let value: unknown = 1;
    for (let i = 0; i < 100; i++) value = [value];
    const arrays = (nested: unknown): number => (Array.isArray(nested) ? 1 + arrays(nested[0]) : 0);
    // The entry and the record; entry, time and metadata, metadata, otlp, attributes.
    expect(arrays(only({ body: value }).record.log)).toBe(48);
    expect(arrays((otlp({ attributes: { value } }).attributes as { value: unknown }).value)).toBe(45);
    const [header] = entriesOf(
      encode([{ resource: { attributes: { value } }, instrumentationScope: { attributes: { value } } }]),
    );
    const { resource, scope } = (header as DecodedEntry).record as Record<string, { attributes: { value: unknown } }>;
    // Entry, record, resource or scope, attributes.
    expect([arrays(resource?.attributes.value), arrays(scope?.attributes.value)]).toEqual([46, 46]);
  });
});

describe('fields that Fluent Bit drops', () => {
  const attributesOf = (fields: Fields, options: EncoderOptions = {}): unknown => otlp(fields, options).attributes;

  it('the layout otlp also writes the event name as an attribute if eventNameAttribute is true', () => {
    const eventName = 'ev';
    expect(otlp({ eventName }, { eventNameAttribute: true })).toMatchObject({
      event_name: 'ev',
      attributes: { 'otel.event.name': 'ev' },
    });
    expect(otlp({ eventName })).not.toHaveProperty('attributes');
    const attributes = { 'otel.event.name': 'mine' };
    expect(attributesOf({ eventName, attributes }, { eventNameAttribute: true })).toStrictEqual(attributes);
    expect(attributesOf({ eventName: '' }, { eventNameAttribute: true })).toBeUndefined();
  });

  it('the layout otlp warns once about event names if eventNameAttribute is not set', () => {
    for (const [eventNameAttribute, expected] of [
      [undefined, 1],
      [true, 0],
      [false, 0],
    ] as const) {
      const warnings: string[] = [];
      const warn = (_: string, message: string) => void warnings.push(message);
      const encoder = batchEncoder({ layout: 'otlp', eventNameAttribute, warn });
      encoder.encode([record({ body: 'no event' })], NOW);
      expect(warnings).toEqual([]);
      for (let i = 0; i < 3; i++) encoder.encode([record({ eventName: 'ev' })], NOW);
      expect(warnings).toHaveLength(expected);
      for (const warning of warnings) {
        expect(warning).toMatch(
          /event names, which Fluent Bit drops; set eventNameAttribute to true .* otel\.event\.name/,
        );
      }
    }
  });

  it('the layout otlp writes the dropped attributes count as an attribute', () => {
    expect(attributesOf({ droppedAttributesCount: 3, attributes: { a: 1 } })).toStrictEqual({
      a: 1,
      'otel.dropped_attributes_count': 3,
    });
    expect(attributesOf({ droppedAttributesCount: 0 })).toBeUndefined();
    const attributes = { 'otel.dropped_attributes_count': 'mine' };
    expect(attributesOf({ droppedAttributesCount: 3, attributes })).toStrictEqual(attributes);
  });
});

describe('static fields in the layout otlp', () => {
  it('static fields in the layout otlp are attributes, and those of the record win', () => {
    const fields = { env: 'prod', region: 'eu', toString: 'x' };
    expect(otlp({ attributes: { env: 'mine', region: undefined } }, { fields }).attributes).toStrictEqual({
      env: 'mine',
      region: 'eu',
      toString: 'x',
    });
    expect(otlp({ attributes: null }, { fields }).attributes).toStrictEqual(fields);
  });

  it.each<[string, EncoderOptions]>([
    ['otel.dropped_attributes_count', {}],
    ['otel.event.name', { eventNameAttribute: true }],
    ['log.record.uid', { recordUid: true }],
  ])(
    'the layout otlp rejects a static field with the name of an attribute that is written: %s with %j',
    (name, options) => {
      expect(() => batchEncoder({ layout: 'otlp', fields: { [name]: 1 }, ...options })).toThrow(
        new RangeError(`option fields: got one with the name "${name}", which the layout otlp writes itself`),
      );
    },
  );
});

describe('groups of records', () => {
  const R = (r: string) => ({ attributes: { r } });
  const S = (name: string) => ({ name });

  it('the layout otlp groups records by resource and scope, in the order of their first records', () => {
    const [r1, r2, s1, s2] = [R('r1'), R('r2'), S('s1'), S('s2')];
    const records = [
      { body: 1, resource: r1, instrumentationScope: s1 },
      { body: 2, resource: r2, instrumentationScope: s1 },
      { body: 3, resource: r1, instrumentationScope: s1 },
      { body: 4, resource: r1, instrumentationScope: s2 },
      { body: 5, resource: r2, instrumentationScope: s1 },
    ];
    const batch = encode(records);
    expect(outline(entriesOf(batch))).toEqual(
      ['r1 s1', 1, 3, 'end', 'r2 s1', 2, 5, 'end', 'r1 s2', 4, 'end'].map(String),
    );
    expect(batch.chunks.map(({ records }) => records)).toEqual([5]);
  });

  it('equal resources and scopes in different objects form one group, whatever the order of their attributes', () => {
    const resources = [{ attributes: { a: 1, b: 2 } }, { attributes: { b: 2, a: 1 } }, { attributes: { a: 1, b: 3 } }];
    const scopes = [S('s'), { name: 's', version: '', attributes: {} }, { name: 's', version: '1' }];
    const records = resources.flatMap((resource) =>
      scopes.map((instrumentationScope) => ({ resource, instrumentationScope })),
    );
    const starts = entriesOf(encode(records)).filter(({ time }) => time[0] === GROUP_START);
    expect(starts.map(({ record }) => record)).toEqual([
      { resource: { attributes: { a: 1, b: 2 } }, scope: { name: 's' } },
      { resource: { attributes: { a: 1, b: 2 } }, scope: { name: 's', version: '1' } },
      { resource: { attributes: { a: 1, b: 3 } }, scope: { name: 's' } },
      { resource: { attributes: { a: 1, b: 3 } }, scope: { name: 's', version: '1' } },
    ]);
    const ids = starts.map(({ metadata }) => [metadata?.resource_id, metadata?.scope_id] as [number, number]);
    const [[r1, s1], [r2, s2], [r3, s3], [r4, s4]] = ids as [
      [number, number],
      [number, number],
      [number, number],
      [number, number],
    ];
    expect([r2, r4, s3, s4]).toEqual([r1, r3, s1, s2]);
    expect(new Set([r1, r3, s1, s2]).size).toBe(4);
    for (const id of ids.flat()) {
      expect(Number.isSafeInteger(id)).toBe(true);
      expect(id).toBeGreaterThanOrEqual(0);
      expect(id).toBeLessThan(2 ** 48);
    }
  });

  it('the ids of a group do not depend on the order of keys in nested maps', () => {
    const [one, other] = [
      { m: { a: 1, b: [{ c: 1, d: { e: 1, f: 2 } }] } },
      { m: { b: [{ d: { f: 2, e: 1 }, c: 1 }], a: 1 } },
    ] as const;
    const starts = [one, other, { m: { ...one.m, a: 2 } }].map((attributes) => {
      const given = { resource: { attributes }, instrumentationScope: { name: 's', attributes } };
      return entriesOf(encode([given]))[0] as DecodedEntry;
    });
    const [first, second, third] = starts as [DecodedEntry, DecodedEntry, DecodedEntry];
    expect(second).toEqual(first);
    expect(first.record).toEqual({ resource: { attributes: one }, scope: { name: 's', attributes: one } });
    expect(third.metadata?.resource_id).not.toBe(first.metadata?.resource_id);
    expect(third.metadata?.scope_id).not.toBe(first.metadata?.scope_id);
  });

  it('the ids of a group are the same in another process', () => {
    // The time limits are long, as a busy machine may take seconds for what usually takes milliseconds.
    const program = `
      import { FluentForwardLogExporter } from 'opentelemetry-exporter-fluent-forward';
      import { ForwardReceiver } from 'opentelemetry-exporter-fluent-forward/testing';
      const receiver = await ForwardReceiver.listen();
      const exporter = new FluentForwardLogExporter({ endpoint: receiver.endpoint, layout: 'otlp',
        timeoutMillis: 100_000, ackTimeoutMillis: 90_000, connectTimeoutMillis: 90_000 });
      const record = { hrTime: [5, 0], hrTimeObserved: [5, 0], attributes: {}, body: 'x', droppedAttributesCount: 0,
        resource: { attributes: { b: [1.5, 'ü'], a: 1 }, schemaUrl: 'https://r' },
        instrumentationScope: { name: 'n', version: '1', schemaUrl: 'https://s', attributes: { z: 1, y: 2 } } };
      await new Promise((done) => exporter.export([record], done));
      console.log(JSON.stringify(receiver.entries[0].metadata));
      await exporter.shutdown();
      await receiver.close();`;
    const cwd = new URL('../../..', import.meta.url);
    const output = execFileSync(process.execPath, ['--input-type=module', '--eval', program], {
      cwd,
      encoding: 'utf8',
    });
    const [header] = entriesOf(
      encode([
        {
          resource: { attributes: { a: 1, b: [1.5, 'ü'] }, schemaUrl: 'https://r' },
          instrumentationScope: { name: 'n', version: '1', schemaUrl: 'https://s', attributes: { y: 2, z: 1 } },
        },
      ]),
    );
    expect(JSON.parse(output)).toEqual(header?.metadata);
    // The first 48 bits of the SHA-256 of what stands in the header: in other versions of this package too.
    const idOf = (content: unknown) => createHash('sha256').update(encodeValue(content)).digest().readUIntBE(0, 6);
    const { resource, scope } = (header as DecodedEntry).record;
    expect(header?.metadata).toEqual({ schema: 'otlp', resource_id: idOf(resource), scope_id: idOf(scope) });
    expect(header?.metadata).toMatchObject({ resource_id: 173_778_863_758_253, scope_id: 163_699_053_563_046 });
  });

  it('the ids of groups differ when name, version, schema URL or attributes differ', () => {
    const variants = [
      { resource: {} },
      { resource: { attributes: { a: 1 } } },
      { resource: { attributes: { a: 1 }, schemaUrl: 'u' } },
      { resource: { attributes: { a: '1' } } },
      { instrumentationScope: { name: 'n' } },
      { instrumentationScope: { name: '', version: 'n' } },
      { instrumentationScope: { name: '', schemaUrl: 'n' } },
      { instrumentationScope: { name: 'n', attributes: { a: 1 } } },
    ];
    const starts = entriesOf(encode(variants)).filter(({ time }) => time[0] === GROUP_START);
    expect(new Set(starts.map(({ metadata }) => JSON.stringify(metadata))).size).toBe(variants.length);
  });

  it('records without resource and scope share a group whose resource and scope are empty', () => {
    const none = [{}, { resource: undefined, instrumentationScope: null }, { resource: 5, instrumentationScope: 'x' }];
    const [header] = entriesOf(encode(none));
    expect(header?.record).toStrictEqual({ resource: {}, scope: {} });
    expect(outline(entriesOf(encode(none)))).toEqual(
      ['- -', 'undefined', 'undefined', 'undefined', 'end'].map((line) => line.replace('undefined', 'null')),
    );
  });

  it('a group has the resource attributes that a detector has found meanwhile', () => {
    const resource = { attributes: { r: 'before' }, asyncAttributesPending: true };
    const encoder = batchEncoder({ layout: 'otlp' });
    const lines = () => outline(entriesOf(encoder.encode([record({ body: 1, resource })], NOW)));
    expect(lines()).toEqual(['before -', '1', 'end']);
    resource.attributes.r = 'after';
    resource.asyncAttributesPending = false;
    expect(lines()).toEqual(['after -', '1', 'end']);
    resource.attributes.r = 'too late';
    expect(lines()).toEqual(['after -', '1', 'end']);
  });

  it('the layout otlp writes no group without a record that could be encoded', () => {
    const tooLarge = Array.from({ length: 30 }, () => 'x'.repeat(262_000));
    const resource = R('large');
    const unreadable = Object.defineProperty(record(), 'resource', {
      get() {
        throw new Error('gone');
      },
    });
    const batch = encode([{ body: 1 }, { body: tooLarge, resource }, { body: 2 }, { body: tooLarge, resource }]);
    expect(outline(entriesOf(batch))).toEqual(['- -', '1', '2', 'end']);
    expect(batch.dropped).toBe(2);
    expect(encode([{ body: tooLarge }]).chunks).toEqual([]);
    const mixed = batchEncoder({ layout: 'otlp' }).encode([unreadable, record({ body: 1 })], NOW);
    expect(outline(entriesOf(mixed))).toEqual(['- -', '1', 'end']);
    expect(mixed).toMatchObject({ dropped: 1, dropReason: 'it cannot be read: [Threw: gone]' });
  });
});

describe('groups cut into chunks', () => {
  const resource = { attributes: { r: 'r'.repeat(100) } };

  it('every chunk of a group repeats its header and end, and counts them in the option size', () => {
    const records = Array.from({ length: 30 }, (_, i) => ({ body: `${i} ${'x'.repeat(300)}`, resource }));
    const batch = encode(records, { maxChunkBytes: 2_048 });
    expect(batch.chunks.length).toBeGreaterThan(5);
    for (const chunk of batch.chunks) {
      const { entries, option } = decodeChunk(chunk);
      expect(entries[0]?.time[0]).toBe(GROUP_START);
      expect(entries.at(-1)?.time[0]).toBe(GROUP_END);
      expect(option.size).toBe(chunk.records + 2);
      expect(chunk.bytes.length).toBeLessThanOrEqual(2_048);
    }
    const bodies = entriesOf(batch).filter(({ record }) => 'log' in record);
    expect(bodies.map(({ record }) => record.log)).toEqual(records.map(({ body }) => body));
  });

  it('the layout otlp cuts a chunk at the exact byte of maxChunkBytes, header and end included', () => {
    const sizes = (second: number): number[] =>
      encode(
        [
          { body: 'x'.repeat(500), resource },
          { body: 'x'.repeat(second), resource },
        ],
        { maxChunkBytes: 2_048 },
      ).chunks.map(({ bytes }) => bytes.length);
    let second = 500;
    while (sizes(second).length === 1) second++;
    // The option has room for four more bytes of `size` than it needs here.
    expect(sizes(second - 1)[0]).toBe(2_048 - 4);
  });

  it('the layout otlp leaves no empty group when a chunk is cut between two groups', () => {
    const bodies = [700, 700, 700].map((length) => 'x'.repeat(length));
    const records = bodies.map((body, i) => ({ body, resource: { attributes: { r: `r${i}` } } }));
    const lines = encode(records, { maxChunkBytes: 2_048 }).chunks.map((chunk) =>
      outline(decodeChunk(chunk).entries).map((line) => line.slice(0, 2)),
    );
    expect(lines).toEqual([
      ['r0', 'xx', 'en', 'r1', 'xx', 'en'],
      ['r2', 'xx', 'en'],
    ]);
  });

  it('the layout otlp drops a record that exceeds 6,000,000 bytes together with its group, to the byte', () => {
    const encoded = (length: number) => encode([{ body: 'x'.repeat(length), resource }], { maxStringBytes: 6_000_000 });
    const overhead = (encoded(5_900_000).chunks[0]?.bytes.length ?? 0) - 5_900_000;
    for (let total = 6_000_000 - 6; total <= 6_000_000; total++) {
      const { chunks, dropped } = encoded(total - overhead);
      expect({ total, dropped }).toEqual({ total, dropped: total <= 6_000_000 - 4 ? 0 : 1 });
      for (const { bytes } of chunks) expect(bytes).toHaveLength(total);
    }
  });

  it('the layout otlp drops only the records of a group that no chunk can hold', () => {
    const large = { attributes: { r: Array.from({ length: 30 }, () => 'x'.repeat(262_000)) } };
    const batch = encode([{ body: 1, resource: large }, { body: 2 }]);
    expect(outline(entriesOf(batch))).toEqual(['- -', '2', 'end']);
    expect(batch.dropped).toBe(1);
  });
});
