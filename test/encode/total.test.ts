import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { assertReadable } from '../support/readable.ts';
import { batchEncoder, decodeChunk, NOW, record } from '../support/records.ts';

// Always the same runs: a failure here must be one that the last change made.
const RUNS = { seed: 20_231_114, numRuns: 1_000 };

const anything = fc.anything({
  withBigInt: true,
  withBoxedValues: true,
  withDate: true,
  withMap: true,
  withNullPrototype: true,
  withObjectString: true,
  withSet: true,
  withSparseArray: true,
  withTypedArray: true,
});

/** Strings of every code unit, lone surrogates too. */
const text = fc.string({ unit: fc.integer({ min: 0, max: 0xffff }).map((code) => String.fromCharCode(code)) });

const TRAPS = ['get', 'getOwnPropertyDescriptor', 'getPrototypeOf', 'has', 'isExtensible', 'ownKeys'] as const;

/**
 * Makers of objects that lie or throw where they are read. They are made in the test's body:
 * fast-check reads what it generates, and would fail before the encoder could.
 */
const hostile: fc.Arbitrary<() => unknown> = fc.oneof(
  fc.tuple(anything, fc.constantFrom(...TRAPS)).map(
    ([value, trap]) =>
      () =>
        new Proxy({ a: 1 }, { [trap]: () => value }),
  ),
  fc.tuple(anything, fc.constantFrom(...TRAPS)).map(
    ([value, trap]) =>
      () =>
        new Proxy([1], { [trap]: thrower(value) }),
  ),
  fc
    .oneof(fc.integer(), fc.integer({ min: -300, max: 300 }), fc.double(), anything)
    .map((length) => () => new Proxy([1, 2], { get: (_, key) => (key === 'length' ? length : 'x') })),
  fc.integer().map((length) => () => Object.defineProperty(new Float64Array(2), 'length', { value: length })),
  fc.integer().map((value) => () => Object.defineProperty(new Uint8Array(2), 'byteLength', { value })),
  anything.map((value) => () => ({ toJSON: () => value })),
  anything.map((value) => () => ({ toJSON: thrower(value) })),
  anything.map(
    (value) => () =>
      new (class {
        toString = thrower(value);
      })(),
  ),
  anything.map((value) => () => Object.create({ toString: () => value, valueOf: thrower(value) })),
  anything.map((value) => () => Object.defineProperty({}, 'a', { enumerable: true, get: thrower(value) })),
  anything.map((value) => () => Object.defineProperty(new Error('e'), 'message', { value })),
  anything.map(
    (value) => () => Object.assign(new Error('e', { cause: value }), { name: value, stack: value, errors: value }),
  ),
  anything.map((value) => () => Object.defineProperty(() => {}, 'name', { value })),
  anything.map((value) => () => Object.assign(Object('boxed'), { valueOf: () => value })),
  fc.tuple(anything, anything).map(
    ([a, b]) =>
      () =>
        new Map([[a, b]]).set({ toString: thrower(a) }, a),
  ),
  anything.map((value) => () => selfReferring(value)),
  fc.object().map((value) => () => Object.create(value)),
  text.map((key) => () => ({ [key]: key })),
  fc.bigInt({ min: -(2n ** 70n), max: 2n ** 70n }).map((value) => () => value),
);

const values: fc.Arbitrary<() => unknown> = fc.oneof(
  anything.map((value) => () => value),
  hostile,
  fc.tuple(hostile, hostile).map(([a, b]) => () => [a(), { b: b(), c: new Map([[a(), b()]]) }, new Set([b()])]),
);

function thrower(value: unknown): () => never {
  return () => {
    throw value;
  };
}

function selfReferring(value: unknown): unknown {
  const object: Record<string, unknown> = { value };
  object.array = [object, new Set([object]), new Map([[object, object]])];
  return object;
}

const SANE = record({ body: 'sane', attributes: { n: 1 }, resource: { attributes: { 'service.name': 's' } } });
const SANE_DECODED = {
  time: SANE.hrTime,
  record: { message: 'sane', attributes: { n: 1 }, resource: { 'service.name': 's' } },
};

/** Encodes a record with a sane one behind it; all that leaves must be readable, and the sane one as ever. */
function encodeBeforeSane(fields: Parameters<typeof record>[0]): { dropped: number; entries: number } {
  const { chunks, dropped } = batchEncoder().encode([record(fields), SANE], NOW);
  const entries = chunks.flatMap((chunk) => {
    const { entries, option, payload } = decodeChunk(chunk);
    expect(assertReadable(payload)).toBe(entries.length);
    expect(option.size).toBe(entries.length);
    return entries;
  });
  expect(entries.at(-1)).toStrictEqual(SANE_DECODED);
  return { dropped, entries: entries.length };
}

describe('no value fails a batch, or puts on the wire what a receiver cannot read', () => {
  it('in the body', () => {
    const property = fc.property(values, (body) => {
      expect(encodeBeforeSane({ body: body() })).toEqual({ dropped: 0, entries: 2 });
    });
    fc.assert(property, RUNS);
  });

  it('in an attribute', () => {
    const property = fc.property(text, values, (key, value) => {
      expect(encodeBeforeSane({ attributes: { [key]: value() } })).toEqual({ dropped: 0, entries: 2 });
    });
    fc.assert(property, RUNS);
  });

  it('in the attributes of the resource and the scope', () => {
    const property = fc.property(values, (value) => {
      const resource = { attributes: { value: value() } };
      const instrumentationScope = { name: 'n', attributes: { value: value() } };
      expect(encodeBeforeSane({ resource, instrumentationScope })).toEqual({ dropped: 0, entries: 2 });
    });
    fc.assert(property, RUNS);
  });

  // The SDK makes sure of these, up to a point; a record that cannot be read at all is dropped alone.
  it('in the place of any field', () => {
    const property = fc.property(
      fc.constantFrom(...Object.keys(SANE), 'spanContext', 'severityText'),
      values,
      (key, value) => {
        const { dropped, entries } = encodeBeforeSane({ [key]: value });
        expect(dropped + entries).toBe(2);
      },
    );
    fc.assert(property, RUNS);
  });

  it('in the place of a record', () => {
    const property = fc.property(values, (value) => {
      const { chunks, dropped } = batchEncoder().encode([value() as typeof SANE, SANE], NOW);
      const entries = chunks.flatMap((chunk) => decodeChunk(chunk).entries);
      expect(entries.at(-1)).toStrictEqual(SANE_DECODED);
      expect(dropped + entries.length).toBe(2);
    });
    fc.assert(property, RUNS);
  });

  it('in a span context or a time', () => {
    const property = fc.property(values, values, values, (a, b, c) => {
      encodeBeforeSane({
        spanContext: { traceId: a, spanId: b, traceFlags: c },
        hrTime: [a, b],
        hrTimeObserved: [b, c],
      });
    });
    fc.assert(property, RUNS);
  });
});

describe('the judge of these tests', () => {
  const TIME = [0xd7, 0x00, 0x65, 0x53, 0xf1, 0x00, 0, 0, 0, 1];
  const entry = (...record: number[]): Uint8Array => Uint8Array.from([0x92, ...TIME, ...record]);

  it.each([
    ['an ext value', entry(0x81, 0xa1, 0x61, 0xd6, 0xff, 0, 0, 0, 0)],
    ['bin', entry(0x81, 0xa1, 0x61, 0xc4, 1, 0)],
    ['a float that is NaN', entry(0x81, 0xa1, 0x61, 0xcb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0)],
    ['a nil key', entry(0x81, 0xc0, 0xc0)],
    ['an integer key', entry(0x81, 0x01, 0xc0)],
    ['a key that is in a map twice', entry(0x82, 0xa1, 0x61, 0xc0, 0xa1, 0x61, 0xc0)],
    ['invalid UTF-8', entry(0x81, 0xa1, 0xff, 0xc0)],
    ['a surrogate in UTF-8', entry(0x81, 0xa3, 0xed, 0xa0, 0x80, 0xc0)],
    ['a map that announces more than it has', entry(0x82, 0xa1, 0x61, 0xc0)],
    ['a map that announces less than it has', entry(0x80, 0xa1, 0x61, 0xc0)],
    ['a string that ends too early', entry(0x81, 0xa1, 0x61, 0xa2, 0x61)],
    ['a record that is no map', entry(0xc0)],
    ['second 0', Uint8Array.from([0x92, 0xd7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80])],
    ['a group marker', Uint8Array.from([0x92, 0xd7, 0, 255, 255, 255, 255, 0, 0, 0, 0, 0x80])],
    ['10^9 nanoseconds', Uint8Array.from([0x92, 0xd7, 0, 0, 0, 0, 1, 0x3b, 0x9a, 0xca, 0x00, 0x80])],
    ['51 nested containers', entry(0x81, 0xa1, 0x61, ...new Array(49).fill(0x91), 0xc0)],
  ])('refuses %s', (_, bytes) => {
    expect(() => assertReadable(bytes)).toThrow();
  });

  it('takes 50 nested containers', () => {
    expect(assertReadable(entry(0x81, 0xa1, 0x61, ...new Array(48).fill(0x91), 0xc0))).toBe(1);
  });
});
