import { describe, expect, it } from 'vitest';
import type { LayoutName } from '../../../src/encode/layout/layouts.ts';
import type { ResourceAttributes } from '../../../src/encode/resource.ts';
import { batchEncoder, decodeChunk, type EncoderOptions, NOW, record, roundTrip } from '../../support/records.ts';

const resource = { attributes: { a: 1, b: { c: 2 }, toString: 3, none: undefined }, schemaUrl: 'https://r' };

/** What there is of a resource in an entry, or in the header of its group. */
const RESOURCE_OF: { readonly [name in LayoutName]: (options: EncoderOptions) => unknown } = {
  default: (options) => roundTrip(record({ resource }), { ...options, layout: 'default' }).record,
  flat: (options) => roundTrip(record({ resource }), { ...options, layout: 'flat' }).record,
  otlp: (options) => {
    const { chunks } = batchEncoder({ ...options, layout: 'otlp' }).encode([record({ resource })], NOW);
    return decodeChunk(chunks[0] as (typeof chunks)[0]).entries[0]?.record.resource;
  },
};

describe('resourceAttributes', () => {
  it.each<[LayoutName, ResourceAttributes, unknown]>([
    ['default', true, { resource: { a: 1, b: { c: 2 }, toString: 3 }, resource_schema_url: 'https://r' }],
    ['default', false, {}],
    ['default', ['b', 'nothing', 'none', 'valueOf'], { resource: { b: { c: 2 } }, resource_schema_url: 'https://r' }],
    ['default', ['toString'], { resource: { toString: 3 }, resource_schema_url: 'https://r' }],
    ['default', [], { resource_schema_url: 'https://r' }],
    [
      'flat',
      true,
      { 'resource.a': 1, 'resource.b': { c: 2 }, 'resource.toString': 3, resource_schema_url: 'https://r' },
    ],
    ['flat', false, {}],
    ['flat', ['a'], { 'resource.a': 1, resource_schema_url: 'https://r' }],
    ['otlp', true, { attributes: { a: 1, b: { c: 2 }, toString: 3 }, schema_url: 'https://r' }],
    ['otlp', false, {}],
    ['otlp', ['a'], { attributes: { a: 1 }, schema_url: 'https://r' }],
  ])(
    'resourceAttributes selects what a layout writes of the resource: %s with %j',
    (layout, resourceAttributes, expected) => {
      expect(RESOURCE_OF[layout]({ resourceAttributes })).toStrictEqual(expected);
    },
  );

  it('resourceAttributes keeps an attribute whose getter throws, with the error as its value', () => {
    const attributes = Object.defineProperty({}, 'a', {
      enumerable: true,
      get() {
        throw new Error('no');
      },
    });
    expect(roundTrip(record({ resource: { attributes } }), { resourceAttributes: ['a'] }).record).toStrictEqual({
      resource: { a: '[Threw: no]' },
    });
  });
});

describe('static fields in the layout default', () => {
  it('static fields of any kind of value stand behind all other keys in the layout default', () => {
    const encoded = roundTrip(record({ body: 'b', attributes: { env: 'mine' } }), {
      fields: { env: 'prod', at: new Date(0), n: [1n], none: undefined },
    });
    expect(encoded.record).toStrictEqual({
      message: 'b',
      attributes: { env: 'mine' },
      env: 'prod',
      at: '1970-01-01T00:00:00.000Z',
      n: [1],
    });
  });

  it('the encoder encodes static fields only once', () => {
    let reads = 0;
    const fields = Object.defineProperty({}, 'a', { enumerable: true, get: () => ++reads });
    const encoder = batchEncoder({ fields });
    const before = reads;
    encoder.encode([record(), record()], NOW);
    expect(before).toBeGreaterThan(0);
    expect(reads).toBe(before);
  });

  it.each(['message', 'body', 'resource', 'resource_schema_url', 'dropped_attributes_count'])(
    'the layout default rejects a static field with the name of one of its keys: %s',
    (name) => {
      expect(() => batchEncoder({ fields: { [name]: 1 } })).toThrow(
        new RangeError(`option fields: got one with the name "${name}", which the layout default writes itself`),
      );
      expect(() => batchEncoder({ fields: { [name]: 1 }, layout: () => ({}) })).toThrow(RangeError);
    },
  );
});
