import { ROOT_CONTEXT, type SpanContext, trace } from '@opentelemetry/api';
import type { LogRecord } from '@opentelemetry/api-logs';

/** A log record, and what Fluentd has to write for it. */
export interface MixedRecord {
  readonly record: LogRecord;
  /** Which of the {@link LOGGERS} emits it. */
  readonly logger: number;
  /** Its line, parsed. */
  readonly expected: Record<string, unknown>;
  /** What the line has to contain where `JSON.parse` would lose digits. */
  readonly contains?: string;
}

/** The attributes of the resources of the two providers. */
export const RESOURCES = [
  { 'service.name': 'checkout', 'service.version': '1.2.3', 'host.cpus': 8, 'host.virtual': true },
  { 'service.name': 'бухгалтерия', 'process.command_args': ['node', '--enable-source-maps', 'main.js'] },
];

/** The second provider keeps so many attributes of a record. */
export const ATTRIBUTE_LIMIT = 6;

/** Each with its provider, and with what its scope becomes. */
export const LOGGERS = [
  { provider: 0, name: 'http', version: '', schemaUrl: undefined, expected: { name: 'http' } },
  { provider: 0, name: 'db', version: '4.5.6', schemaUrl: undefined, expected: { name: 'db', version: '4.5.6' } },
  {
    provider: 1,
    name: '@scope/名前',
    version: '0.1',
    schemaUrl: 'https://opentelemetry.io/schemas/1.30.0',
    expected: { name: '@scope/名前', version: '0.1', schema_url: 'https://opentelemetry.io/schemas/1.30.0' },
  },
  { provider: 1, name: 'jobs', version: '', schemaUrl: undefined, expected: { name: 'jobs' } },
];

const FIRST_SECOND = 1_700_000_000;
const RECORDS_PER_SECOND = 8;
const SEVERITY_TEXTS = ['TRACE', 'DEBUG', 'INFO', 'WARN', 'ERROR', 'FATAL'];
const MAX_STRING_BYTES = 262_144;

interface Part {
  readonly value: unknown;
  readonly expected: unknown;
  readonly contains?: string;
}

const same = (value: unknown): Part => ({ value, expected: value });

/** Bodies; `expected` is what stands under `message` for a string and under `body` for all else. */
const BODIES: readonly ((n: number) => Part)[] = [
  (n) => same(`GET /orders/${n} 200 in ${n % 977} ms`),
  (n) => same(`заказ ${n} принят — 注文を受け付けました ✅ 👩‍👩‍👧 e\u0301`),
  (n) => same(`line one\nline two\t"quoted" \\ \u0000 \u001b[31m \u2028 \u007f ${n}`),
  (n) => same('0123456789abcdef'.repeat(n % 300)),
  (n) => same('é'.repeat(n % 5_000)),
  (n) => same({ n, user: { id: `u-${n}`, tags: ['a', 'b'], 'dotted.key': { deep: [{ deeper: [[n]] }] } }, ok: true }),
  (n) => same([n, 'two', [3, [4]], { five: 5 }, null, true, 0.5, '']),
  (n) => same(n),
  (n) => same(-n * 65_537),
  (n) => same(n / 7),
  (n) => same(Number.MAX_SAFE_INTEGER - n),
  () => same(1e300),
  () => same(5e-324),
  () => same(null),
  (n) => same(n % 2 === 0),
  () => same({}),
  () => same([]),
  (n) => ({ value: new Uint8Array([n & 0xff, 0, 255, 128]), expected: base64(n & 0xff, 0, 255, 128) }),
  (n) => ({ value: { raw: Buffer.from(`bytes ${n}`) }, expected: { raw: btoa(`bytes ${n}`) } }),
  (n) => ({
    value: { id: 9_223_372_036_854_775_807n - BigInt(n) },
    expected: { id: Number(9_223_372_036_854_775_807n - BigInt(n)) },
    contains: `"id":${9_223_372_036_854_775_807n - BigInt(n)}`,
  }),
  () => ({ value: -(2n ** 63n), expected: -(2 ** 63), contains: '"body":-9223372036854775808,' }),
  () => ({
    value: 2n ** 64n - 1n,
    expected: '18446744073709551615',
    contains: '"body":"18446744073709551615",',
  }),
  (n) => ({ value: [2n ** 64n, BigInt(n)], expected: ['18446744073709551616', n] }),
  (n) => ({ value: new Date(1_700_000_000_123 + n), expected: isoDate(1_700_000_000_123 + n) }),
  (n) => ({ value: { at: new Date(n) }, expected: { at: isoDate(n) } }),
  (n) => {
    const cause = Object.assign(new TypeError('no route'), { stack: undefined });
    const error = Object.assign(new RangeError(`order ${n} failed`, { cause }), { code: 'E_ORDER', order: { n } });
    error.stack = `RangeError: order ${n} failed\n    at ${n}`;
    return {
      value: error,
      expected: {
        name: 'RangeError',
        message: `order ${n} failed`,
        stack: `RangeError: order ${n} failed\n    at ${n}`,
        cause: { name: 'TypeError', message: 'no route' },
        code: 'E_ORDER',
        order: { n },
      },
    };
  },
  (n) => ({
    value: new Map<unknown, unknown>([
      ['plain', n],
      [7, new Map([['inner', null]])],
      ['7', 'the string'],
    ]),
    expected: { plain: n, 7: { inner: null }, '7 (2)': 'the string' },
  }),
  (n) => ({ value: new Set(['x', n]), expected: ['x', n] }),
  () => ({ value: [Number.NaN, Number.POSITIVE_INFINITY, -0], expected: ['NaN', 'Infinity', 0] }),
  () => ({ value: undefined, expected: undefined }),
  (n) =>
    n % 50 === 0
      ? { value: 'y'.repeat(300_000), expected: `${'y'.repeat(MAX_STRING_BYTES - 40)}…[truncated 37896 bytes]` }
      : same(''),
];

/** Attributes, as the SDK lets them through. */
const ATTRIBUTES: readonly ((n: number) => Part)[] = [
  () => ({ value: undefined, expected: undefined }),
  () => ({ value: {}, expected: undefined }),
  (n) => same({ 'http.status_code': 200 + (n % 300), 'http.method': 'GET', ratio: n / 3, cached: false }),
  (n) => same({ list: [1, 2, 3], words: ['один', '二'], mixed: [1, 'a', null, { n }], nothing: null }),
  (n) => same({ level: { one: { two: { three: [{ four: n }] } } }, 'key with spaces': '', '😀': '😀' }),
  (n) => ({
    value: { payload: new Uint8Array([1, 2, n & 0xff]), nan: Number.NaN },
    expected: { payload: base64(1, 2, n & 0xff), nan: 'NaN' },
  }),
  (n) => same(Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`key.${i}`, n + i]))),
];

/** The `n`th record. Its time is one that no other has. */
export function mixedRecord(n: number): MixedRecord {
  const second = FIRST_SECOND + Math.floor(n / RECORDS_PER_SECOND);
  const nanosecond = nanosecondOf(n);
  const loggerIndex = (n * 7 + (n >> 4)) % LOGGERS.length;
  const logger = pick(LOGGERS, loggerIndex);
  const body = pick(BODIES, n)(n);
  const attributes = pick(ATTRIBUTES, n)(n);
  const severity = n % 25;
  const severityText = n % 3 === 0 ? undefined : pick(SEVERITY_TEXTS, n);
  const eventName = n % 4 === 0 ? `order.placed.${n % 10}` : undefined;
  const spanContext = n % 2 === 0 ? undefined : spanContextOf(n);
  const observed: [number, number] = [second + 1, (nanosecond + n) % 1_000_000_000];

  const kept = keptAttributes(attributes.expected as Record<string, unknown> | undefined, logger.provider);
  const expected = definedOnly({
    [typeof body.value === 'string' ? 'message' : 'body']: body.expected,
    severity_number: severity === 0 ? undefined : severity,
    severity_text: severityText,
    event_name: eventName,
    trace_id: spanContext?.traceId,
    span_id: spanContext?.spanId,
    trace_flags: spanContext && (spanContext.traceFlags === 1 ? '01' : '00'),
    observed_timestamp: `${isoDate(observed[0] * 1000).slice(0, 19)}.${String(observed[1]).padStart(9, '0')}Z`,
    ...kept,
    resource: RESOURCES[logger.provider],
    scope: logger.expected,
    fluent_tag: 'opentelemetry.logs',
    fluent_time: `${second}.${String(nanosecond).padStart(9, '0')}`,
  });
  const record = definedOnly({
    timestamp: [second, nanosecond],
    observedTimestamp: observed,
    body: body.value,
    attributes: attributes.value,
    severityNumber: severity === 0 ? undefined : severity,
    severityText,
    eventName,
    context: spanContext === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, spanContext),
  }) as LogRecord;
  const { contains } = body;
  return { record, logger: loggerIndex, expected, ...(contains === undefined ? {} : { contains }) };
}

/** Different ones within a second, and among them the smallest and the largest. */
function nanosecondOf(n: number): number {
  switch (n % RECORDS_PER_SECOND) {
    case 0:
      return 0;
    case 1:
      return 1;
    case 2:
      return 999_999_999;
    default:
      return (n * 123_456_789) % 1_000_000_000;
  }
}

function spanContextOf(n: number): SpanContext {
  return {
    traceId: (0xa000_0000 + n).toString(16).repeat(4),
    spanId: (0x0b00_0000 + n).toString(16).padStart(16, '0'),
    traceFlags: n % 4 === 1 ? 1 : 0,
  };
}

/** What the limit of the second provider leaves. */
function keptAttributes(all: Record<string, unknown> | undefined, provider: number): Record<string, unknown> {
  const entries = Object.entries(all ?? {});
  if (entries.length === 0) return {};
  if (provider === 0 || entries.length <= ATTRIBUTE_LIMIT) return { attributes: all };
  return {
    attributes: Object.fromEntries(entries.slice(0, ATTRIBUTE_LIMIT)),
    dropped_attributes_count: entries.length - ATTRIBUTE_LIMIT,
  };
}

function base64(...bytes: number[]): string {
  return btoa(String.fromCharCode(...bytes));
}

function isoDate(millis: number): string {
  return new Date(millis).toISOString();
}

function pick<T>(list: readonly T[], n: number): T {
  return list[n % list.length] as T;
}

function definedOnly(map: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(map).filter(([, value]) => value !== undefined));
}
