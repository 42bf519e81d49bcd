import fc from 'fast-check';
import type { record } from './records.ts';

type Fields = NonNullable<Parameters<typeof record>[0]>;

/** What `fc.anything` never makes, or seldom, and a receiver may misread. */
const misread: fc.Arbitrary<unknown> = fc
  .constantFrom<() => unknown>(
    () => new Uint8Array(0),
    () => Buffer.alloc(0),
    () => new ArrayBuffer(0),
    () => new DataView(new ArrayBuffer(1), 1),
    ...[-(2n ** 63n) - 1n, -(2n ** 63n), 2n ** 63n - 1n, 2n ** 63n, 2n ** 64n - 1n, 2n ** 64n].map((n) => () => n),
    ...[-(2 ** 64), -(2 ** 63), 2 ** 63, 2 ** 64].map((n) => () => n),
    () => BigInt64Array.of(-(2n ** 63n), 2n ** 63n - 1n),
    () => BigUint64Array.of(2n ** 63n - 1n, 2n ** 63n, 2n ** 64n - 1n),
  )
  .map((make) => make());

/** Any value without code of its own: no getters, no proxies, no `toJSON`. */
export const anything: fc.Arbitrary<unknown> = fc.anything({
  values: [
    fc.boolean(),
    fc.maxSafeInteger(),
    fc.double(),
    fc.string(),
    fc.oneof(fc.string(), fc.constant(null), fc.constant(undefined)),
    misread,
  ],
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
export const text: fc.Arbitrary<string> = fc.string({
  unit: fc.integer({ min: 0, max: 0xffff }).map((code) => String.fromCharCode(code)),
});

/** Names that layouts give a meaning to, names that receivers read as the same one, and any other. */
const name = fc.oneof(
  text,
  fc
    .tuple(fc.constantFrom('a', 'body', 'attributes.body'), fc.constantFrom('\ud800', '\udfff', '\ufffd', '\0', '␀'))
    .map((parts) => parts.join('')),
  fc.constantFrom('a\ufffd (2)', 'a␀ (2)', 'attributes.a\ufffd (2)'),
  fc.constantFrom(
    'a',
    'message',
    'attributes',
    'attributes.message',
    'resource.a',
    'scope.name',
    'log.record.uid',
    '__proto__',
  ),
);

/** Attributes as `fc.object` would not make them: with own properties of any name. */
const attributes: fc.Arbitrary<Record<string, unknown>> = fc
  .array(fc.tuple(name, anything), { maxLength: 6 })
  .map((entries) => Object.fromEntries(entries));

const nanoseconds = fc.oneof(fc.nat(999_999_999), fc.constantFrom(0, 1, 999_999_999));
const time = fc.tuple(
  fc.oneof(fc.integer({ min: 1, max: 0xfffffffd }), fc.constantFrom(0, 1, 0xfffffffd)),
  nanoseconds,
);
const hexDigits = (length: number) =>
  fc
    .array(fc.integer({ min: 0, max: 15 }), { minLength: length, maxLength: length })
    .map((digits) => digits.map((digit) => digit.toString(16)).join(''));
const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });

/** The fields of a record with any values where the SDK lets them through. */
export const recordFields: fc.Arbitrary<Fields> = fc.record({
  hrTime: time,
  hrTimeObserved: time,
  body: fc.oneof(text, anything),
  severityText: maybe(text),
  severityNumber: maybe(fc.integer({ min: 1, max: 24 })),
  eventName: maybe(text),
  spanContext: maybe(
    fc.record({
      traceId: fc.oneof(hexDigits(32), text),
      spanId: fc.oneof(hexDigits(16), text),
      traceFlags: fc.integer({ min: 0, max: 255 }),
    }),
  ),
  attributes,
  resource: fc.record({ attributes, schemaUrl: maybe(text) }),
  instrumentationScope: fc.record({
    name: text,
    version: maybe(text),
    schemaUrl: maybe(text),
    attributes: maybe(attributes),
  }),
  droppedAttributesCount: fc.nat(3),
});
