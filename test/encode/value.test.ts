import { describe, expect, it, vi } from 'vitest';
import { assertReadable } from '../support/readable.ts';
import {
  batchEncoder,
  type DecodedChunk,
  type DecodedEntry,
  decodeChunk,
  NOW,
  record,
  roundTrip,
} from '../support/records.ts';
import { VALUES } from './values.ts';

/** Encodes a record and a sane one behind it, and decodes what must be one readable chunk. */
function encodeWith(fields: (encoder: ReturnType<typeof batchEncoder>) => Parameters<typeof record>[0]): DecodedChunk {
  const encoder = batchEncoder();
  const { chunks, dropped } = encoder.encode([record(fields(encoder)), record({ body: 'next' })], NOW);
  expect({ chunks: chunks.length, dropped }).toEqual({ chunks: 1, dropped: 0 });
  const decoded = decodeChunk(chunks[0] as (typeof chunks)[0]);
  expect(assertReadable(decoded.payload)).toBe(2);
  return decoded;
}

describe('kinds of values', () => {
  it.each(VALUES)('the encoder writes each kind of body as it is documented: $name', ({ value, expected }) => {
    let key = 'body';
    const { entries } = encodeWith((encoder) => {
      const body = value(encoder);
      if (typeof body === 'string') key = 'message';
      return { body };
    });
    const first = expected === undefined ? {} : { [key]: expected };
    expect(entries.map((entry) => entry.record)).toStrictEqual([first, { message: 'next' }]);
  });

  it.each(VALUES.filter(({ onlyAsBody }) => !onlyAsBody))(
    'the encoder writes each kind of attribute value as it is documented: $name',
    ({ value, expected }) => {
      const { entries } = encodeWith((encoder) => ({ attributes: { value: value(encoder), last: 1 } }));
      const attributes = expected === undefined ? { last: 1 } : { value: expected, last: 1 };
      expect(entries.map((entry) => entry.record)).toStrictEqual([{ attributes }, { message: 'next' }]);
    },
  );
});

describe('stacks, limits and keys of values', () => {
  it('the encoder writes the stack of an Error unchanged', () => {
    const error = new Error('boom');
    expect(roundTrip(record({ body: error })).record).toEqual({
      body: { name: 'Error', message: 'boom', stack: error.stack },
    });
    expect(error.stack).toContain('value.test.ts');
  });

  it('the encoder counts the attributes map as one of the 50 nested containers', () => {
    let value: unknown = 1;
    for (let i = 0; i < 100; i++) value = [value];
    let left = roundTrip(record({ attributes: { value } })).record.attributes as unknown;
    left = (left as { value: unknown }).value;
    let arrays = 0;
    for (; Array.isArray(left); left = left[0]) arrays++;
    expect({ arrays, left }).toEqual({ arrays: 47, left: '[Too deep]' });
  });

  it('the encoder counts containers anew for each record', () => {
    const body = Array.from({ length: 9_999 }, () => []);
    const { chunks } = batchEncoder().encode([record({ body }), record({ body })], NOW);
    const records = chunks.flatMap((chunk) => decodeChunk(chunk).entries);
    expect(records.map((entry) => entry.record)).toStrictEqual([{ body }, { body }]);
  });

  it('the encoder finds no circular reference to a container of a record that was dropped before', () => {
    const shared = { text: 'x'.repeat(200_000) };
    const tooLarge = Array.from({ length: 40 }, () => shared);
    const { chunks, dropped } = batchEncoder().encode([record({ body: [tooLarge] }), record({ body: [shared] })], NOW);
    expect(dropped).toBe(1);
    expect(chunks.flatMap((chunk) => decodeChunk(chunk).entries[0]?.record)).toStrictEqual([{ body: [shared] }]);
  });

  it.each([64, 100, 1000])('the encoder cuts strings, keys and bytes to maxStringBytes: %i', (maxStringBytes) => {
    for (const text of ['x', 'é', '€', '😀'].map((character) => character.repeat(maxStringBytes + 1))) {
      const bytes = Buffer.from(text);
      const { body } = roundTrip(record({ body: [text, { [text]: 1 }, bytes] }), { maxStringBytes }).record;
      const [string, map, base64] = body as [string, object, string];
      for (const cut of [string, Object.keys(map)[0] as string]) {
        const [, kept = '', count] = /^(.*)…\[truncated (\d+) bytes\]$/u.exec(cut) ?? [];
        expect(text.startsWith(kept) && kept.length > 0).toBe(true);
        expect(Number(count)).toBe(bytes.length - Buffer.byteLength(kept));
        expect(Buffer.byteLength(cut)).toBeLessThanOrEqual(maxStringBytes);
      }
      const [, start = '', left] = /^(.*)…\[truncated (\d+) bytes\]$/.exec(base64) ?? [];
      expect(bytes.subarray(0, bytes.length - Number(left))).toEqual(Buffer.from(start, 'base64'));
      expect(Buffer.byteLength(base64)).toBeLessThanOrEqual(maxStringBytes);
    }
  });

  it.each<[string, object, string[]]>([
    ['lone surrogates', { 'a\ud800': 1, 'a\ufffd': 2, 'a\udfff': 3 }, ['a\ufffd (2)', 'a\ufffd', 'a\ufffd (3)']],
    ['lone surrogates in a Map', new Map(Object.entries({ 'a\ud800': 1, 'a\ufffd': 2 })), ['a\ufffd', 'a\ufffd (2)']],
    [
      'ends that are cut off',
      { [`${'k'.repeat(70)}1`]: 1, [`${'k'.repeat(70)}2`]: 2 },
      [`${'k'.repeat(24)}…[truncated 47 bytes]`, `${'k'.repeat(24)}…[truncated 47 bytes] (2)`],
    ],
  ])('the encoder numbers keys that a receiver could not tell apart: %s', (_, body, expected) => {
    const { chunks } = batchEncoder({ maxStringBytes: 64 }).encode([record({ body })], NOW);
    const { entries, payload } = decodeChunk(chunks[0] as (typeof chunks)[0]);
    expect(assertReadable(payload)).toBe(1);
    expect(Object.keys(entries[0]?.record.body as object)).toEqual(expected);
  });

  it('a property that is undefined takes no name from another one, but a getter does, whatever it returns', () => {
    const absent = { 'a\ud800': 1, 'a\ufffd': undefined };
    let reads = 0;
    const getter = Object.defineProperty({ 'a\ud800': 1 }, 'a\ufffd', {
      enumerable: true,
      get: () => reads++ || undefined,
    });
    const resource = { attributes: absent };
    for (const layout of ['default', (_: unknown, entry: object) => entry] as const) {
      const entry = roundTrip(record({ body: absent, attributes: absent, resource }), { layout });
      const expected = { 'a\ufffd': 1 };
      expect(entry.record).toEqual({ body: expected, attributes: expected, resource: expected });
    }
    expect(roundTrip(record({ body: [getter] })).record.body).toEqual([{ 'a\ufffd (2)': 1 }]);
  });

  it('the encoder numbers the keys of a proxy that says it has every key', () => {
    const keys = ['a\ud800', 'a\ufffd', 'a\udfff'];
    const descriptor = { value: 1, enumerable: true, configurable: true };
    const body = new Proxy({}, { ownKeys: () => keys, getOwnPropertyDescriptor: () => descriptor, get: () => 1 });
    expect(roundTrip(record({ body })).record.body).toStrictEqual({ 'a\ufffd (2)': 1, 'a\ufffd': 1, 'a\ufffd (3)': 1 });
  });

  it('the encoder numbers the mark of cut elements when a key has its name', () => {
    const body = Object.fromEntries(['…', ...Array.from({ length: 65_536 }, (_, i) => `k${i}`)].map((key) => [key, 0]));
    for (const value of [body, new Map(Object.entries(body))]) {
      const left = roundTrip(record({ body: value })).record.body as Record<string, unknown>;
      expect(left['… (2)']).toBe('…[truncated 1 elements]');
      expect(left['…']).toBe(0);
    }
  });

  it('the encoder does not cut a string that just fits maxStringBytes', () => {
    for (const character of ['x', 'é', '€', '😀']) {
      const fits = character.repeat(600 / Buffer.byteLength(character));
      const options = { maxStringBytes: 600 };
      expect(roundTrip(record({ body: fits }), options).record.message).toBe(fits);
      expect(roundTrip(record({ body: `${fits}x` }), options).record.message).toMatch(/…\[truncated \d+ bytes\]$/);
    }
  });
});

describe('values that are much larger than what is written of them', () => {
  const ELEMENTS = 65_536;
  const numbers = (count: number) => Array.from({ length: count }, (_, i) => i);

  it.each<[string, () => object, object, string | number]>([
    ['Map', () => new Map(numbers(100_000).map((i) => [i, i])), new Map().entries(), '…'],
    ['Set', () => new Set(numbers(100_000)), new Set().values(), ELEMENTS],
  ])('the encoder reads no more elements than it writes, and counts the others: %s', (_, make, iterator, last) => {
    const body = make();
    const next = vi.spyOn(Object.getPrototypeOf(iterator), 'next');
    const written = roundTrip(record({ body })).record.body as Record<string, unknown>;
    const reads = next.mock.calls.length;
    next.mockRestore();
    expect(written[last]).toBe('…[truncated 34464 elements]');
    expect(reads).toBeLessThanOrEqual(ELEMENTS + 1);
  });

  it('the encoder counts the elements of a Map that says another size', () => {
    class Liar extends Map {
      override get size(): number {
        return 3;
      }
    }
    const body = roundTrip(record({ body: numbers(70_000).reduce((map, i) => map.set(i, i), new Liar()) })).record.body;
    expect((body as Record<string, unknown>)['…']).toBe('…[truncated 4464 elements]');
  });

  it('the encoder writes a Map and a Set that change while they are written', () => {
    const shrinking = new Map<unknown, unknown>(numbers(70_000).map((i) => [i, i]));
    shrinking.set(0, { toJSON: () => numbers(65_000).map((i) => shrinking.delete(i + 1)).length });
    const growing = new Set<unknown>([{ toJSON: () => numbers(70_000).map((i) => growing.add(i)).length }]);
    const [entry] = encodeWith(() => ({ body: [shrinking, growing] })).entries as [DecodedEntry, DecodedEntry];
    const [map, set] = entry.record.body as [object, unknown[]];
    expect(Object.keys(map)).toHaveLength(5_000);
    expect(set).toEqual([70_000]);
  });

  /** An object of 100,000 properties, of which the first has a name that no receiver reads. */
  const large = () => Object.fromEntries([['a\ud800', 1], ...numbers(100_000).map((i) => [`k${i}`, i])]);

  it.each<[string, 'default' | 'flat', (value: object) => Parameters<typeof record>[0]]>([
    ['a body', 'default', (body) => ({ body })],
    ['attributes', 'flat', (attributes) => ({ attributes })],
    ['an instance', 'default', (value) => ({ body: Object.assign(new (class Large {})(), value) })],
  ])(
    'the encoder lists the names of an object once, and looks at those alone that it writes: %s',
    (_, layout, fields) => {
      const given = record(fields(large()));
      const encoder = batchEncoder({ layout });
      const keys = vi.spyOn(Object, 'keys');
      const wellFormed = vi.spyOn(String.prototype, 'toWellFormed');
      const { chunks } = encoder.encode([given], NOW);
      const lists = keys.mock.results.filter(({ value }) => (value as string[]).length > ELEMENTS).length;
      const looks = wellFormed.mock.calls.length;
      vi.restoreAllMocks();
      const entry = decodeChunk(chunks[0] as (typeof chunks)[0]).entries[0]?.record as Record<string, unknown>;
      const written = (layout === 'flat' ? entry : entry.body) as Record<string, unknown>;
      expect(written['…']).toBe('…[truncated 34465 elements]');
      expect(written['a\ufffd']).toBe(1);
      expect(lists).toBe(0);
      expect(looks).toBeLessThan(10);
    },
  );

  it('the encoder counts the properties of an Error that it does not write', () => {
    const error = Object.assign(new Error('boom'), Object.fromEntries(numbers(70_000).map((i) => [`k${i}`, i])));
    Object.defineProperty(error, 'cause', { value: 'why' });
    const body = roundTrip(record({ body: error })).record.body as Record<string, unknown>;
    expect(Object.keys(body)).toHaveLength(ELEMENTS + 1);
    expect(body).toMatchObject({ message: 'boom', cause: 'why', '…': '…[truncated 4468 elements]' });
  });
});
