import { ROOT_CONTEXT, trace } from '@opentelemetry/api';
import { SeverityNumber } from '@opentelemetry/api-logs';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { describe, expect, it } from 'vitest';
import {
  batchEncoder,
  type DecodedEntry,
  decodeChunk,
  emitted,
  NOW,
  record,
  roundTrip,
} from '../../support/records.ts';

const SPAN = { traceId: '0AF7651916CD43DD8448EB211C80319C', spanId: 'B7AD6B7169203331', traceFlags: 1 };

describe('the layout default for records from the SDK', () => {
  const resource = resourceFromAttributes({ 'service.name': 'svc', ports: [1, 2] }, { schemaUrl: 'https://r' });
  const noResource = resourceFromAttributes({});

  it('the layout default writes every field that is set', async () => {
    const [emittedRecord] = await emitted({ resource, logRecordLimits: { attributeCountLimit: 2 } }, (provider) => {
      const scope = { schemaUrl: 'https://s', attributes: { part: 'db' } };
      provider.getLogger('lib', '1.0', scope).emit({
        timestamp: [1_700_000_000, 123_456_789],
        observedTimestamp: [1_700_000_000, 223_456_789],
        severityNumber: SeverityNumber.ERROR,
        severityText: 'ERROR',
        eventName: 'ev',
        body: 'hello',
        attributes: { k: 'v', bytes: Uint8Array.of(1, 2), dropped: 1 },
        context: trace.setSpanContext(ROOT_CONTEXT, SPAN),
      });
    });
    expect(roundTrip(emittedRecord as NonNullable<typeof emittedRecord>)).toStrictEqual({
      time: [1_700_000_000, 123_456_789],
      record: {
        message: 'hello',
        severity_text: 'ERROR',
        severity_number: 17,
        event_name: 'ev',
        trace_id: '0af7651916cd43dd8448eb211c80319c',
        span_id: 'b7ad6b7169203331',
        trace_flags: '01',
        observed_timestamp: '2023-11-14T22:13:20.223456789Z',
        attributes: { k: 'v', bytes: 'AQI=' },
        resource: { 'service.name': 'svc', ports: [1, 2] },
        resource_schema_url: 'https://r',
        scope: { name: 'lib', version: '1.0', schema_url: 'https://s', attributes: { part: 'db' } },
        dropped_attributes_count: 1,
      },
    });
  });

  it('the layout default writes no key for a field that is not set', async () => {
    const [emittedRecord] = await emitted({ resource: noResource }, (provider) => {
      provider.getLogger('lib').emit({ timestamp: [5, 7], observedTimestamp: [0, 0], attributes: { a: undefined } });
    });
    expect(roundTrip(emittedRecord as NonNullable<typeof emittedRecord>)).toStrictEqual({
      time: [5, 7],
      record: { scope: { name: 'lib' } },
    });
  });

  it('the layout default writes the time from the SDK when the application gives none', async () => {
    const before = Date.now();
    const [emittedRecord] = await emitted({ resource: noResource }, (provider) => {
      provider.getLogger('lib').emit({ body: 'now' });
    });
    const { time, record } = roundTrip(emittedRecord as NonNullable<typeof emittedRecord>);
    const millis = time[0] * 1000 + time[1] / 1e6;
    expect(millis).toBeGreaterThanOrEqual(before);
    expect(millis).toBeLessThanOrEqual(Date.now());
    expect(Date.parse(record.observed_timestamp as string)).toBe(Math.floor(millis));
  });

  it('the layout default writes the body as it is at the export, and attributes as they were emitted', async () => {
    const body = { a: 1 };
    const attributes = { list: [1] };
    const [emittedRecord] = await emitted({ resource: noResource }, (provider) => {
      provider.getLogger('lib').emit({ body, attributes });
    });
    body.a = 2;
    attributes.list.push(2);
    const { chunks } = batchEncoder().encode([emittedRecord as NonNullable<typeof emittedRecord>], NOW);
    // Too late: encoding has been done.
    body.a = 3;
    const [entry] = chunks.flatMap((chunk) => decodeChunk(chunk).entries);
    expect(entry?.record).toMatchObject({ body: { a: 2 }, attributes: { list: [1] } });
  });

  it('the layout default writes the right resource and scope when records of several providers alternate', async () => {
    const other = resourceFromAttributes({ 'service.name': 'other' });
    const records = (
      await Promise.all(
        [resource, other].map((resource) =>
          emitted({ resource }, (provider) => {
            for (const name of ['x', 'y', 'x']) provider.getLogger(name).emit({ body: name });
          }),
        ),
      )
    ).flat();
    // Interleaved, so that no record has the resource and scope of the one before.
    const interleaved = [0, 3, 1, 4, 2, 5].map((i) => records[i] as NonNullable<(typeof records)[0]>);
    const entries = batchEncoder()
      .encode(interleaved, NOW)
      .chunks.flatMap((chunk) => decodeChunk(chunk).entries);
    expect(
      entries.map(({ record: { resource, scope } }) => [
        (resource as Attributes)['service.name'],
        (scope as Attributes).name,
      ]),
    ).toEqual([
      ['svc', 'x'],
      ['other', 'x'],
      ['svc', 'y'],
      ['other', 'y'],
      ['svc', 'x'],
      ['other', 'x'],
    ]);
  });

  it('the layout default does not wait for resource detectors, and writes what they find later', async () => {
    let found = (_: string): void => {};
    const detected = new Promise<string>((resolve) => {
      found = resolve;
    });
    const pending = resourceFromAttributes({ 'service.name': 'svc', 'host.id': detected });
    const encoder = batchEncoder();
    const encoded = (): unknown => {
      const { chunks } = encoder.encode([record({ resource: pending }), record({ resource: pending })], NOW);
      return chunks.flatMap((chunk) => decodeChunk(chunk).entries.map((entry) => entry.record.resource));
    };
    expect(encoded()).toEqual([{ 'service.name': 'svc' }, { 'service.name': 'svc' }]);
    found('h1');
    await pending.waitForAsyncAttributes?.();
    const complete = { 'service.name': 'svc', 'host.id': 'h1' };
    expect(encoded()).toEqual([complete, complete]);
  });
});

type Attributes = Record<string, unknown>;

describe('the body in the layout default', () => {
  it.each<[unknown, DecodedEntry['record']]>([
    ['text', { message: 'text' }],
    ['', { message: '' }],
    [Object('text'), { body: 'text' }],
    [null, { body: null }],
    [0, { body: 0 }],
    [false, { body: false }],
    [['text'], { body: ['text'] }],
    [{ message: 'text' }, { body: { message: 'text' } }],
    [undefined, {}],
  ])('the layout default writes a string body as message and any other as body: %j as %j', (body, expected) => {
    expect(roundTrip(record({ body })).record).toStrictEqual(expected);
  });
});

describe('attributes in the layout default', () => {
  it.each([
    ['an empty object', {}],
    ['nothing but undefined', { a: undefined }],
    ['undefined', undefined],
    ['null', null],
  ])('the layout default writes no key for attributes without a value: %s', (_, attributes) => {
    expect(roundTrip(record({ attributes })).record).toStrictEqual({});
  });

  it.each([{ a: null }, { a: {} }, { a: [] }, { toJSON: 'an attribute like any other' }])(
    'the layout default keeps an attribute with an empty value or the name of a method: %j',
    (attributes) => {
      expect(roundTrip(record({ attributes })).record).toStrictEqual({ attributes });
    },
  );

  it('the layout default writes attributes as a map even behind a body that uses up the object limit', () => {
    const body = Array.from({ length: 20_000 }, () => []);
    expect(roundTrip(record({ body, attributes: { a: 1, b: [] } })).record.attributes).toEqual({
      a: 1,
      b: '[Too many objects]',
    });
  });
});

describe('span contexts in the layout default', () => {
  const { traceId, spanId } = SPAN;
  const ids = { trace_id: traceId.toLowerCase(), span_id: spanId.toLowerCase() };

  it.each([
    ['flags 0', { traceId, spanId, traceFlags: 0 }, { ...ids, trace_flags: '00' }],
    ['flags 255', { traceId, spanId, traceFlags: 255 }, { ...ids, trace_flags: 'ff' }],
    ['no flags', { traceId, spanId }, ids],
    ['flags that are no integer', { traceId, spanId, traceFlags: Number.NaN }, ids],
    ['all zeros', { traceId: '0'.repeat(32), spanId: '0'.repeat(16), traceFlags: 1 }, {}],
    ['a trace alone', { traceId, spanId: '', traceFlags: 1 }, { trace_id: ids.trace_id, trace_flags: '01' }],
    [
      'an id of the wrong length',
      { traceId: 'ab', spanId, traceFlags: 1 },
      { span_id: ids.span_id, trace_flags: '01' },
    ],
    ['an id that is not hexadecimal', { traceId: 'g'.repeat(32), spanId: `${'a'.repeat(15)}/`, traceFlags: 1 }, {}],
    ['an id with a character whose low bits look hexadecimal', { traceId: 'š'.repeat(32), spanId: 'Ł'.repeat(16) }, {}],
    ['ids that are bytes', { traceId: new Uint8Array(16), spanId: new Uint8Array(8), traceFlags: 1 }, {}],
    ['null', null, {}],
    ['undefined', undefined, {}],
  ])('the layout default writes the valid parts of a span context: %s', (_, spanContext, expected) => {
    expect(roundTrip(record({ spanContext })).record).toStrictEqual(expected);
  });
});

describe('the scope and the dropped attributes count in the layout default', () => {
  it.each([
    [{ name: '', version: '', schemaUrl: '' }, {}],
    [{ name: 'n', version: undefined, schemaUrl: undefined, attributes: undefined }, { scope: { name: 'n' } }],
    [{ name: 'n', version: '1', schemaUrl: 'u' }, { scope: { name: 'n', version: '1', schema_url: 'u' } }],
    [{ name: 'n', attributes: {} }, { scope: { name: 'n' } }],
    [{ name: 'n', attributes: { a: undefined } }, { scope: { name: 'n' } }],
    [{ name: '', attributes: { a: 1 } }, { scope: { attributes: { a: 1 } } }],
    [undefined, {}],
  ])('the layout default writes the parts of a scope that are set: %O as %O', (instrumentationScope, expected) => {
    expect(roundTrip(record({ instrumentationScope })).record).toStrictEqual(expected);
  });

  it('the layout default writes the dropped attributes count only if it is not 0', () => {
    expect(roundTrip(record({ droppedAttributesCount: 0 })).record).toStrictEqual({});
    expect(roundTrip(record({ droppedAttributesCount: 3 })).record).toStrictEqual({ dropped_attributes_count: 3 });
  });
});

describe('the cache of resources and scopes', () => {
  const encoder = batchEncoder();
  const encoded = (fields: Parameters<typeof record>[0]): unknown =>
    encoder.encode([record(fields)], NOW).chunks.flatMap((chunk) => decodeChunk(chunk).entries)[0]?.record;

  it('the encoder remembers a resource and a scope by identity and ignores later changes of their attributes', () => {
    const resource = { attributes: { a: 1 } };
    const instrumentationScope = { name: 'n', attributes: { a: 1 } };
    const expected = { resource: { a: 1 }, scope: { name: 'n', attributes: { a: 1 } } };
    expect(encoded({ resource, instrumentationScope })).toEqual(expected);
    resource.attributes.a = 2;
    instrumentationScope.attributes.a = 2;
    // At once, and when another record came between.
    expect(encoded({ resource, instrumentationScope })).toEqual(expected);
    expect(encoded({})).toEqual({});
    expect(encoded({ resource, instrumentationScope })).toEqual(expected);
    // The same attributes on other objects are others.
    expect(encoded({ resource: { ...resource }, instrumentationScope: { ...instrumentationScope } })).toEqual({
      resource: { a: 2 },
      scope: { name: 'n', attributes: { a: 2 } },
    });
  });

  it('the encoder also remembers that a resource has no attributes to write', () => {
    const resource = { attributes: {} as Attributes };
    expect(encoded({ resource })).toEqual({});
    resource.attributes.a = 1;
    expect(encoded({ resource })).toEqual({});
  });

  it('the encoder writes no remembered resource for records without resource and scope', () => {
    const resource = { attributes: { a: 1 } };
    for (const none of [undefined, null]) {
      expect(encoded({ resource })).toEqual({ resource: { a: 1 } });
      expect(encoded({ resource: none, instrumentationScope: none })).toEqual({});
    }
  });

  it('the encoder writes the right resource when one of its getters logs with another resource', () => {
    const inner = { attributes: { who: 'inner' } };
    const outer = {
      attributes: {
        who: 'outer',
        get late() {
          return encoded({ resource: inner });
        },
      },
    };
    const expected = { resource: { who: 'outer', late: { resource: { who: 'inner' } } } };
    expect(encoded({ resource: outer })).toEqual(expected);
    expect(encoded({ resource: outer })).toEqual(expected);
    expect(encoded({ resource: inner })).toEqual({ resource: { who: 'inner' } });
  });
});
