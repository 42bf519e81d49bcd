import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FunctionTagger } from '../../src/encode/tag.ts';
import { anything, text } from '../support/arbitraries.ts';
import { assertReadable, assertReadableAsOtlp } from '../support/readable.ts';
import { batchEncoder, type DecodedEntry, decodeChunk, type EncoderOptions, NOW, record } from '../support/records.ts';
import { RUNS } from '../support/runs.ts';

/** The last one hands on what it gets: the default layout, made of objects. */
const layouts = fc.constantFrom<EncoderOptions['layout'] & {}>('default', 'flat', 'otlp', (_, entry) => entry);

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

/** Encodes a record with a sane one behind it; all that leaves must be readable, and the sane one as ever. */
function encodeBeforeSane(
  layout: EncoderOptions['layout'] & {},
  given: typeof SANE,
): { dropped: number; entries: number } {
  const { chunks, dropped } = batchEncoder({ layout }).encode([given, SANE], NOW);
  const entries = chunks.flatMap((chunk) => {
    const { entries, option, payload } = decodeChunk(chunk);
    expect((layout === 'otlp' ? assertReadableAsOtlp : assertReadable)(payload)).toBe(entries.length);
    expect(option.size).toBe(entries.length);
    return entries.filter(isRecord);
  });
  const { time, record } = entries.at(-1) as DecodedEntry;
  expect(time).toEqual(SANE.hrTime);
  expect(record).toMatchObject(layout === 'otlp' ? { log: 'sane' } : { message: 'sane' });
  return { dropped, entries: entries.length };
}

/** Whether it is no entry around a group. */
function isRecord({ time: [seconds] }: DecodedEntry): boolean {
  return seconds <= 0xfffffffd;
}

describe('hostile values', () => {
  it('the encoder writes a readable batch whatever value stands in a body', () => {
    const property = fc.property(layouts, values, (layout, body) => {
      expect(encodeBeforeSane(layout, record({ body: body() }))).toEqual({ dropped: 0, entries: 2 });
    });
    fc.assert(property, RUNS);
  });

  it('the encoder writes a readable batch whatever value stands in an attribute', () => {
    const property = fc.property(layouts, text, values, (layout, key, value) => {
      const attributes = { [key]: value() };
      expect(encodeBeforeSane(layout, record({ attributes }))).toEqual({ dropped: 0, entries: 2 });
    });
    fc.assert(property, RUNS);
  });

  it('the encoder writes a readable batch whatever value stands in resource and scope attributes', () => {
    const property = fc.property(layouts, values, (layout, value) => {
      const resource = { attributes: { value: value() } };
      const instrumentationScope = { name: 'n', attributes: { value: value() } };
      const given = record({ resource, instrumentationScope });
      expect(encodeBeforeSane(layout, given)).toEqual({ dropped: 0, entries: 2 });
    });
    fc.assert(property, RUNS);
  });

  // The SDK makes sure of these, up to a point; a record that cannot be read at all is dropped alone.
  it('the encoder writes a readable batch whatever value stands in the place of a field', () => {
    const fields = fc.constantFrom(...Object.keys(SANE), 'spanContext', 'severityText', 'severityNumber', 'eventName');
    const property = fc.property(layouts, fields, values, (layout, key, value) => {
      const { dropped, entries } = encodeBeforeSane(layout, record({ [key]: value() }));
      expect(dropped + entries).toBe(2);
    });
    fc.assert(property, RUNS);
  });

  it('the encoder writes a readable batch whatever value stands in the place of a record', () => {
    const property = fc.property(layouts, values, (layout, value) => {
      const { dropped, entries } = encodeBeforeSane(layout, value() as typeof SANE);
      expect(dropped + entries).toBe(2);
    });
    fc.assert(property, RUNS);
  });

  it('the encoder writes a readable batch whatever value stands in a span context or a time', () => {
    const property = fc.property(layouts, values, values, values, (layout, a, b, c) => {
      const spanContext = { traceId: a(), spanId: b(), traceFlags: c() };
      const given = record({ spanContext, hrTime: [a(), b()], hrTimeObserved: [b(), c()] });
      expect(encodeBeforeSane(layout, given).entries).toBeGreaterThan(0);
    });
    fc.assert(property, RUNS);
  });

  it('the encoder writes a readable batch whatever layout functions, tag functions and static fields give', () => {
    const property = fc.property(text, values, (key, value) => {
      const fromLayout = encodeBeforeSane(
        ({ body }, entry) => (body === 'sane' ? entry : { [key]: value() }),
        record(),
      );
      expect(fromLayout).toEqual({ dropped: 0, entries: 2 });
      const tag = new FunctionTagger(
        () => value() as string,
        () => {},
      );
      const { chunks } = batchEncoder({ tag, fields: { field: value() } }).encode([SANE], NOW);
      expect(chunks.map(({ tag }) => tag)).toEqual([expect.stringMatching(/^[A-Za-z0-9_.-]{1,1024}$/)]);
      for (const chunk of chunks) expect(assertReadable(decodeChunk(chunk).payload)).toBe(1);
    });
    fc.assert(property, RUNS);
  });

  it('the encoder writes a readable batch whatever a layout function or a tag function throws', () => {
    const property = fc.property(values, (value) => {
      const fromLayout = encodeBeforeSane(
        ({ body }, entry) => (body === 'sane' ? entry : thrower(value())()),
        record(),
      );
      expect(fromLayout).toEqual({ dropped: 1, entries: 1 });
      const warnings: string[] = [];
      const tag = new FunctionTagger(
        () => thrower(value())(),
        (_, message) => void warnings.push(message),
      );
      expect(tag.tagOf(SANE)).toBe('opentelemetry.logs');
      expect(warnings).toEqual([expect.stringMatching(/^the tag function threw: .*; using opentelemetry.logs$/s)]);
    });
    fc.assert(property, RUNS);
  });
});

describe('the checks of these tests', () => {
  const TIME = [0xd7, 0x00, 0x65, 0x53, 0xf1, 0x00, 0, 0, 0, 1];
  const entry = (...record: number[]): Uint8Array => Uint8Array.from([0x92, ...TIME, ...record]);

  it.each([
    ['an ext value', entry(0x81, 0xa1, 0x61, 0xd6, 0xff, 0, 0, 0, 0)],
    ['bin', entry(0x81, 0xa1, 0x61, 0xc4, 1, 0)],
    ['a float that is NaN', entry(0x81, 0xa1, 0x61, 0xcb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0)],
    ['an integer of 2^63', entry(0x81, 0xa1, 0x61, 0xcf, 0x80, 0, 0, 0, 0, 0, 0, 0)],
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
    ['1,000,000,000 nanoseconds', Uint8Array.from([0x92, 0xd7, 0, 0, 0, 0, 1, 0x3b, 0x9a, 0xca, 0x00, 0x80])],
    ['51 nested containers', entry(0x81, 0xa1, 0x61, ...new Array(49).fill(0x91), 0xc0)],
  ])('assertReadable rejects an entry that not every receiver reads: %s', (_, bytes) => {
    expect(() => assertReadable(bytes)).toThrow();
  });

  const OTLP_TIME = [0xd7, 0, 0x65, 0x53, 0xf1, 0, 0, 0, 0, 1];
  const marker = (seconds: number): number[] => [0x92, 0x92, 0xd7, 0, 255, 255, 255, seconds, 0, 0, 0, 0, 0x80, 0x80];
  const [START, END] = [marker(255), marker(254)];
  const otlpRecord = [0x92, 0x92, ...OTLP_TIME, 0x80, 0x80];

  it.each([
    ['a group without an end', [...START, ...otlpRecord]],
    ['an empty group', [...START, ...END]],
    ['an end without a group', END],
    ['a record outside of groups', [...START, ...otlpRecord, ...END, ...otlpRecord]],
    ['a group within a group', [...START, ...START, ...otlpRecord, ...END, ...END]],
    [
      'a time beside the metadata that is no time',
      [...START, 0x92, 0x92, 0xd7, 0, ...new Array(8).fill(0), 0x80, 0x80, ...END],
    ],
    ['NUL', [...START, ...otlpRecord.slice(0, -1), 0x81, 0xa1, 0x00, 0xc0, ...END]],
    ['an empty bin', [...START, ...otlpRecord.slice(0, -1), 0x81, 0xa1, 0x61, 0xc4, 0, ...END]],
    [
      'an empty bin in a list of a header',
      [...START.slice(0, -1), 0x81, 0xa1, 0x61, 0x91, 0xc4, 0, ...otlpRecord, ...END],
    ],
    [
      'an attribute of 2^63',
      [...START, ...otlpRecord.slice(0, -1), 0x81, 0xa1, 0x61, 0xcf, 0x80, 0, 0, 0, 0, 0, 0, 0, ...END],
    ],
    ['an entry without metadata', [0x92, ...OTLP_TIME, 0x80]],
  ])('assertReadableAsOtlp rejects what Fluent Bit does not read as OTLP: %s', (_, bytes) => {
    expect(() => assertReadableAsOtlp(Uint8Array.from(bytes))).toThrow();
  });

  it('assertReadableAsOtlp accepts a group of records', () => {
    expect(assertReadableAsOtlp(Uint8Array.from([...START, ...otlpRecord, ...otlpRecord, ...END]))).toBe(4);
  });

  it('assertReadable accepts 50 nested containers', () => {
    expect(assertReadable(entry(0x81, 0xa1, 0x61, ...new Array(48).fill(0x91), 0xc0))).toBe(1);
  });
});
