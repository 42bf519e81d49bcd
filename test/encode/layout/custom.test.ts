import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { LayoutFunction } from '../../../src/index.ts';
import { recordFields } from '../../support/arbitraries.ts';
import { assertReadable } from '../../support/readable.ts';
import { batchEncoder, decodeChunk, type EncoderOptions, NOW, record, roundTrip } from '../../support/records.ts';
import { RUNS } from '../../support/runs.ts';
import { unhandledRejections } from '../../support/unhandled-rejections.ts';

type Fields = Parameters<typeof record>[0];

const COMPLETE: Fields = {
  hrTimeObserved: [1_700_000_000, 223_456_789],
  body: 'hello',
  severityText: 'ERROR',
  severityNumber: 17,
  eventName: 'ev',
  spanContext: { traceId: '0AF7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331', traceFlags: 1 },
  attributes: { k: 'v', nested: { a: [1] }, none: undefined },
  resource: { attributes: { 'service.name': 'svc' }, schemaUrl: 'https://r' },
  instrumentationScope: { name: 'lib', version: '1.0', schemaUrl: 'https://s', attributes: { part: 'db' } },
  droppedAttributesCount: 2,
};

/** What the function gets of a record. */
function entryFor(fields: Fields, options: EncoderOptions = {}): Record<string, unknown> {
  const entries: Record<string, unknown>[] = [];
  batchEncoder({
    ...options,
    layout: (_, entry) => {
      entries.push(entry);
      return undefined;
    },
  }).encode([record(fields)], NOW);
  return entries[0] as Record<string, unknown>;
}

describe('the entry given to a layout function', () => {
  it('a layout function gets the record and the entry that the layout default makes of it', () => {
    const given = record(COMPLETE);
    const entry = roundTrip(given, {
      layout: (record, entry) => {
        expect(record).toBe(given);
        return entry;
      },
    });
    expect(entry).toStrictEqual(roundTrip(given));
    expect(entryFor(COMPLETE)).toStrictEqual({
      message: 'hello',
      severity_text: 'ERROR',
      severity_number: 17,
      event_name: 'ev',
      trace_id: '0af7651916cd43dd8448eb211c80319c',
      span_id: 'b7ad6b7169203331',
      trace_flags: '01',
      observed_timestamp: '2023-11-14T22:13:20.223456789Z',
      attributes: { k: 'v', nested: { a: [1] } },
      resource: { 'service.name': 'svc' },
      resource_schema_url: 'https://r',
      scope: { name: 'lib', version: '1.0', schema_url: 'https://s', attributes: { part: 'db' } },
      dropped_attributes_count: 2,
    });
  });

  it.each<[string, Fields]>([
    ['no fields', {}],
    ['no resource and scope', { resource: null, instrumentationScope: undefined, attributes: null }],
    ['a body that is no string', { body: { a: 1 } }],
    ['an empty body', { body: {} }],
    ['a body of null', { body: null }],
    ['invalid ids', { spanContext: { traceId: 'x', spanId: 'b7ad6b7169203331', traceFlags: Number.NaN } }],
    ['ids that are zero', { spanContext: { traceId: '0'.repeat(32), spanId: '0'.repeat(16), traceFlags: 1 } }],
    ['an observed time beyond RFC 3339', { hrTimeObserved: [253_402_300_800, 0] }],
    ['empty maps', { attributes: {}, instrumentationScope: { name: '', attributes: {} } }],
    ['the key __proto__', { attributes: JSON.parse('{"__proto__":1}') }],
  ])('a layout function that returns its entry writes the bytes of the layout default: %s', (_, fields) => {
    const { chunks } = batchEncoder({ layout: (_, entry) => entry }).encode([record(fields)], NOW);
    const [ours] = chunks.map((chunk) => decodeChunk(chunk).payload);
    const [default_] = batchEncoder().encode([record(fields)], NOW).chunks;
    expect(ours).toEqual(decodeChunk(default_ as NonNullable<typeof default_>).payload);
  });

  it('the entry given to a layout function has the selected resource attributes, static fields and record id', () => {
    const entry = entryFor(COMPLETE, { resourceAttributes: false, fields: { env: 'prod' }, recordUid: true });
    expect(entry).not.toHaveProperty('resource');
    expect(entry).toMatchObject({
      env: 'prod',
      attributes: { k: 'v', 'log.record.uid': expect.stringMatching(/^\w{26}$/) },
    });
    expect(entryFor({ attributes: { 'log.record.uid': 'mine' } }, { recordUid: true }).attributes).toEqual({
      'log.record.uid': 'mine',
    });
    expect(entryFor({}, { recordUid: true })).toEqual({ attributes: { 'log.record.uid': expect.any(String) } });
  });

  it('a layout function that returns its entry writes the bytes of the layout default for any record', () => {
    const property = fc.property(recordFields, (fields) => {
      const [ours, default_] = [(_: unknown, entry: object) => entry, 'default' as const].map((layout) => {
        const { chunks } = batchEncoder({ layout }).encode([record(fields)], NOW);
        expect(chunks).toHaveLength(1);
        return Buffer.from(decodeChunk(chunks[0] as (typeof chunks)[0]).payload);
      }) as [Buffer, Buffer];
      // toEqual would compare the bytes one by one, which takes most of the test's time.
      expect(ours.equals(default_)).toBe(true);
    });
    fc.assert(property, RUNS);
  });

  it('a layout function that masks nested values changes neither the record nor the static fields', () => {
    const nested = () => ({ list: [{ map: { pw: 'secret' } }] });
    const fields = { field: nested() };
    const given = record({
      body: nested(),
      attributes: { a: nested() },
      resource: { attributes: { r: nested() } },
      instrumentationScope: { name: 'lib', attributes: { s: nested() } },
    });
    const before = structuredClone(given);
    const layout: LayoutFunction = (_, entry) => {
      const changed = structuredClone(entry);
      mask(entry);
      expect(entry).not.toEqual(changed);
      return entry;
    };
    const encoder = batchEncoder({ layout, fields });
    const texts = [1, 2].map(() => {
      const { chunks } = encoder.encode([given], NOW);
      return JSON.stringify(decodeChunk(chunks[0] as (typeof chunks)[0]).entries[0]?.record);
    });
    for (const text of texts)
      expect(text.match(/secret|"\*"|"added"/g)).toEqual(new Array(5).fill(['"*"', '"added"']).flat());
    expect(given).toEqual(before);
    expect(fields).toEqual({ field: nested() });
  });

  it('the entry given to a layout function shares values that are not plain or cannot be copied', () => {
    const toJSON = { toJSON: () => 1 };
    const long = new Array(65_537);
    const throwing = new Proxy([1], {
      get(target, key) {
        if (key === '0') throw new Error('no');
        return Reflect.get(target, key);
      },
    });
    const large = Object.fromEntries(long.fill(0).map((zero, i) => [`k${i}`, zero]));
    const shared = [new Date(0), new Map(), Buffer.alloc(1), new (class Entry {})(), toJSON, long, large, throwing];
    const { body } = entryFor({ body: shared }) as { body: unknown[] };
    expect(body).not.toBe(shared);
    for (const [i, value] of shared.entries()) expect(body[i]).toBe(value);
  });

  it('the entry given to a layout function lists the keys of a large object once, and reads no value of it', () => {
    const target = Object.fromEntries(Array.from({ length: 65_537 }, (_, i) => [`k${i}`, i]));
    const read: unknown[] = [];
    let lists = 0;
    const large = new Proxy(target, {
      ownKeys: () => {
        lists++;
        return Reflect.ownKeys(target);
      },
      get: (_, key) => void read.push(key),
    });
    entryFor({ body: [large, large, { large }] });
    expect(lists).toBe(1);
    expect(new Set(read)).toEqual(new Set(['toJSON']));
  });

  it('the entry given to a layout function keeps circular references and is copied within limits', () => {
    const circular: Record<string, unknown> = { n: 1 };
    circular.self = [circular];
    const { body } = entryFor({ body: circular }) as { body: { self: unknown[] } };
    expect(body).not.toBe(circular);
    expect(body.self[0]).toBe(body);
    let deep: object = {};
    for (let i = 0; i < 100_000; i++) deep = { deep };
    // Along 2^60 paths there would be no end.
    let wide: object = {};
    for (let i = 0; i < 60; i++) wide = { a: wide, b: wide };
    const many = Array.from({ length: 20_000 }, () => ({}));
    const entry = entryFor({ body: { deep, wide, many } }) as { body: { many: object[] } };
    expect(entry.body.many.filter((object, i) => object === many[i]).length).toBeGreaterThan(10_000);
  });

  it('a layout function that adds and deletes keys of its entry does not change the record', () => {
    const given = record({ ...COMPLETE, body: { a: 1 } });
    const before = structuredClone(given);
    const change: LayoutFunction = (_, entry) => {
      for (const key of ['attributes', 'resource', 'scope', 'body']) Object.assign(entry[key] as object, { added: 1 });
      Object.assign((entry.scope as { attributes: object }).attributes, { added: 1 });
      delete entry.message;
      return entry;
    };
    const options: EncoderOptions = { layout: change, fields: { env: 'prod' } };
    expect(roundTrip(given, options).record).toMatchObject({ body: { a: 1, added: 1 }, resource: { added: 1 } });
    expect(given).toEqual(before);
    const list = record({ ...COMPLETE, body: [1] });
    roundTrip(list, { layout: (_, entry) => ({ n: (entry.body as number[]).push(2) }) });
    expect(list.body).toEqual([1]);
  });
});

/** Changes each map and each list in it, however deep. */
function mask(value: unknown): void {
  if (Array.isArray(value)) {
    for (const item of value) mask(item);
    value.push('added');
  } else if (typeof value === 'object' && value !== null) {
    const map = value as Record<string, unknown>;
    for (const key of Object.keys(map)) {
      if (key === 'pw') map.pw = '*';
      else mask(map[key]);
    }
  }
}

describe('the result of a layout function', () => {
  it('the encoder encodes what a layout function returns like any value', () => {
    const layout: LayoutFunction = ({ body }) => ({
      body,
      at: new Date(0),
      n: 2n ** 64n,
      ids: BigUint64Array.of(2n ** 63n),
      none: undefined,
      nan: Number.NaN,
    });
    expect(roundTrip(record({ body: 'b' }), { layout }).record).toStrictEqual({
      body: 'b',
      at: '1970-01-01T00:00:00.000Z',
      n: '18446744073709551616',
      ids: ['9223372036854775808'],
      nan: 'NaN',
    });
  });

  it('a layout function cannot change the time of an entry', () => {
    expect(roundTrip(record({ hrTime: [5, 6] }), { layout: () => ({ time: 7 }) }).time).toEqual([5, 6]);
    expect(roundTrip(record({ hrTime: 'x' }), { layout: () => ({}) })).toEqual({ time: NOW, record: {} });
  });

  it('the object that a layout function returns counts as one of the 50 nested containers', () => {
    let value: unknown = 1;
    for (let i = 0; i < 100; i++) value = [value];
    const { chunks } = batchEncoder({ layout: () => ({ value }) }).encode([record()], NOW);
    const { entries, payload } = decodeChunk(chunks[0] as (typeof chunks)[0]);
    expect(assertReadable(payload)).toBe(1);
    const arrays = (nested: unknown): number => (Array.isArray(nested) ? 1 + arrays(nested[0]) : 0);
    expect(arrays(entries[0]?.record.value)).toBe(48);
  });

  it('the encoder leaves out and counts the records for which a layout function returns undefined', () => {
    const layout: LayoutFunction = ({ body }, entry) => (Number(body) % 2 === 0 ? entry : undefined);
    const batch = batchEncoder({ layout }).encode(
      [1, 2, 3, 4].map((body) => record({ body })),
      NOW,
    );
    const bodies = batch.chunks.flatMap((chunk) => decodeChunk(chunk).entries).map((entry) => entry.record.body);
    expect({ bodies, filtered: batch.filtered, dropped: batch.dropped }).toEqual({
      bodies: [2, 4],
      filtered: 2,
      dropped: 0,
    });
    expect(batch.chunks.map(({ records }) => records)).toEqual([2]);
  });

  it.each<[string, unknown]>([
    ['null', null],
    ['a string', 'text'],
    ['a number', 5],
    ['an array', [{}]],
    ['a function', () => ({})],
    ['an instance of Promise', Promise.resolve({})],
    ['an instance of Map', new Map()],
    ['an instance of Entry', new (class Entry {})()],
  ])('the encoder drops only the record for which a layout function returns no plain object: %s', (name, given) => {
    const layout = (({ body }, entry) => (body === 'bad' ? given : entry)) as LayoutFunction;
    const batch = batchEncoder({ layout }).encode(
      ['a', 'bad', 'b'].map((body) => record({ body })),
      NOW,
    );
    expect(batch.chunks.flatMap((chunk) => decodeChunk(chunk).entries).map((entry) => entry.record.message)).toEqual([
      'a',
      'b',
    ]);
    expect(batch).toMatchObject({
      filtered: 0,
      dropped: 1,
      dropReason: `the layout function returned ${name}, neither a plain object nor undefined`,
    });
  });

  it('the encoder drops only the record for which a layout function throws, with the reason', () => {
    const layout: LayoutFunction = ({ body }, entry) => {
      if (body === 'bad') throw new TypeError('cannot read it');
      return entry;
    };
    const batch = batchEncoder({ layout }).encode(
      ['a', 'bad', 'b'].map((body) => record({ body })),
      NOW,
    );
    expect(batch.chunks[0]?.records).toBe(2);
    expect(batch).toMatchObject({ dropped: 1, dropReason: 'the layout function threw: cannot read it' });
  });

  it('the rejection of an async layout function is handled, and the encoder drops the record', async () => {
    const rejections = unhandledRejections();
    const layout = (async () => Promise.reject(new Error('no entry'))) as unknown as LayoutFunction;
    expect(batchEncoder({ layout }).encode([record()], NOW)).toMatchObject({ chunks: [], dropped: 1 });
    expect(await rejections()).toEqual([]);
  });

  it('the encoder completes both batches when a layout function encodes another one', () => {
    const inner: number[] = [];
    const encoder = batchEncoder({
      layout: ({ body }, entry) => {
        if (body !== 'inner') inner.push(encoder.encode([record({ body: 'inner' })], NOW).chunks.length);
        return entry;
      },
    });
    const { chunks } = encoder.encode([record({ body: 'a' }), record({ body: 'b' })], NOW);
    expect(decodeChunk(chunks[0] as (typeof chunks)[0]).entries.map((entry) => entry.record.message)).toEqual([
      'a',
      'b',
    ]);
    expect(inner).toEqual([1, 1]);
  });
});
