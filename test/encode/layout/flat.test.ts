import { describe, expect, it } from 'vitest';
import { assertReadable } from '../../support/readable.ts';
import { batchEncoder, decodeChunk, type EncoderOptions, NOW, record, roundTrip } from '../../support/records.ts';

type Fields = Parameters<typeof record>[0];

function flat(fields: Fields, options: EncoderOptions = {}): Record<string, unknown> {
  const { chunks } = batchEncoder({ layout: 'flat', ...options }).encode([record(fields)], NOW);
  const { entries, payload } = decodeChunk(chunks[0] as (typeof chunks)[0]);
  expect(assertReadable(payload)).toBe(1);
  return (entries[0] as (typeof entries)[0]).record;
}

const OWN_KEYS = [
  'message',
  'body',
  'severity_text',
  'severity_number',
  'event_name',
  'trace_id',
  'span_id',
  'trace_flags',
  'observed_timestamp',
  'attributes',
  'resource',
  'resource_schema_url',
  'scope',
  'dropped_attributes_count',
];

describe('the layout flat', () => {
  it('the layout flat writes every field, with attributes under their own names', () => {
    const entry = roundTrip(
      record({
        hrTimeObserved: [1_700_000_000, 223_456_789],
        body: 'hello',
        severityText: 'ERROR',
        severityNumber: 17,
        eventName: 'ev',
        spanContext: { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331', traceFlags: 1 },
        attributes: { 'http.method': 'GET', nested: { a: { b: [1] } } },
        resource: { attributes: { 'service.name': 'svc', list: [1] }, schemaUrl: 'https://r' },
        instrumentationScope: { name: 'lib', version: '1.0', schemaUrl: 'https://s', attributes: { part: 'db' } },
        droppedAttributesCount: 2,
      }),
      { layout: 'flat' },
    );
    expect(entry).toStrictEqual({
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
        'http.method': 'GET',
        nested: { a: { b: [1] } },
        'resource.service.name': 'svc',
        'resource.list': [1],
        resource_schema_url: 'https://r',
        'scope.name': 'lib',
        'scope.version': '1.0',
        'scope.schema_url': 'https://s',
        'scope.attributes.part': 'db',
        dropped_attributes_count: 2,
      },
    });
  });

  it('the layout flat writes no key for a field that is not set', () => {
    expect(flat({})).toStrictEqual({});
    expect(flat({ resource: undefined, instrumentationScope: null, attributes: null })).toStrictEqual({});
  });

  it.each(OWN_KEYS)('the layout flat renames an attribute with the name of one of its keys: %s', (key) => {
    expect(flat({ attributes: { [key]: 'theirs' } })).toStrictEqual({ [`attributes.${key}`]: 'theirs' });
    expect(flat({ body: 'ours', severityText: 'ours', attributes: { [key]: 'theirs' } })).toStrictEqual({
      message: 'ours',
      severity_text: 'ours',
      [`attributes.${key}`]: 'theirs',
    });
  });

  it('the layout flat renames attributes that look like those of the resource or the scope', () => {
    const fields = {
      attributes: { 'resource.a': 1, 'scope.name': 2, 'scope.attributes.a': 3, 'resource.b': 4, resources: 5 },
      resource: { attributes: { a: 'r' } },
      instrumentationScope: { name: 'n', attributes: { a: 's' } },
    };
    expect(flat(fields)).toStrictEqual({
      'attributes.resource.a': 1,
      'attributes.scope.name': 2,
      'attributes.scope.attributes.a': 3,
      'attributes.resource.b': 4,
      resources: 5,
      'resource.a': 'r',
      'scope.name': 'n',
      'scope.attributes.a': 's',
    });
  });

  it('the layout flat never writes a key twice, whatever the names of attributes', () => {
    const attributes = {
      message: 1,
      'attributes.message': 2,
      'attributes.attributes.message': 3,
      'attributes.x': 4,
      x: 5,
    };
    expect(flat({ body: 'b', attributes })).toStrictEqual({
      message: 'b',
      'attributes.message': 1,
      'attributes.attributes.message': 2,
      'attributes.attributes.attributes.message': 3,
      'attributes.attributes.x': 4,
      x: 5,
    });
    expect(flat({ attributes: { 'x\ud800': 1 } }, { fields: { 'x\ufffd': 0 } })).toStrictEqual({
      'attributes.x\ufffd': 1,
      'x\ufffd': 0,
    });
    // Cut to the same 64 bytes, with and without a prefix.
    const long = 'k'.repeat(70);
    const cut = flat(
      {
        attributes: { [`${long}1`]: 1, [`${long}2`]: 2 },
        resource: { attributes: { [`${long}1`]: 3, [`${long}2`]: 4 } },
      },
      { maxStringBytes: 64 },
    );
    expect(Object.values(cut)).toEqual([1, 2, 3, 4]);
  });
});

describe('static fields in the layout flat', () => {
  it('the layout flat gives each mark of cut elements a name of its own', () => {
    const many = Object.fromEntries(Array.from({ length: 65_537 }, (_, i) => [`k${i}`, 0]));
    const entry = flat({ attributes: many, resource: { attributes: many } }, { fields: { '…': 'static' } });
    expect(entry).toMatchObject({
      '…': 'static',
      'attributes.…': '…[truncated 1 elements]',
      'resource.…': '…[truncated 1 elements]',
    });
  });

  it('static fields in the layout flat win over attributes of the same name', () => {
    expect(flat({ attributes: { env: 'mine', a: 1 } }, { fields: { env: 'prod', tags: ['x'] } })).toStrictEqual({
      'attributes.env': 'mine',
      a: 1,
      env: 'prod',
      tags: ['x'],
    });
  });

  it.each([...OWN_KEYS, 'resource.a', 'scope.name', 'attributes.a'])(
    'the layout flat rejects a static field with the name of one of its keys: %s',
    (name) => {
      expect(() => batchEncoder({ layout: 'flat', fields: { [name]: 1 } })).toThrow(
        new RangeError(`option fields: got one with the name "${name}", which the layout flat writes itself`),
      );
    },
  );

  it('the layout flat rejects a static field with the name of the record id only if it writes the id', () => {
    const create = (recordUid: boolean) => () =>
      batchEncoder({ layout: 'flat', fields: { 'log.record.uid': 1 }, recordUid });
    expect(create(true)).toThrow(
      new RangeError('option fields: got one with the name "log.record.uid", which the layout flat writes itself'),
    );
    expect(create(false)).not.toThrow();
  });
});
