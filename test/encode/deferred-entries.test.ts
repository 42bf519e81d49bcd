import fc from 'fast-check';
import { expect, it } from 'vitest';
import { BufferPool } from '../../src/encode/buffer-pool.ts';
import type { Chunk } from '../../src/encode/chunk.ts';
import { DeferredEntries } from '../../src/encode/deferred-entries.ts';
import type { LayoutName } from '../../src/encode/layout/layouts.ts';
import type { Resource } from '../../src/encode/resource.ts';
import { Writer } from '../../src/encode/writer.ts';
import { anything } from '../support/arbitraries.ts';
import { batchEncoder, layoutWith, NOW, record } from '../support/records.ts';
import { RUNS } from '../support/runs.ts';

const resource = { attributes: { 'host.id': 'h1', list: [1, 2] }, schemaUrl: 'https://schema' };

const fields = fc.record({
  body: anything,
  severityNumber: fc.integer({ min: 0, max: 24 }),
  attributes: fc.dictionary(fc.string(), anything, { maxKeys: 30 }),
  instrumentationScope: fc.constantFrom({ name: 'a' }, { name: 'b', version: '1', attributes: { c: 1 } }),
  droppedAttributesCount: fc.nat({ max: 1 }),
});
/** Up to a number with which the map of an entry has a header of three bytes. */
const staticFields = fc
  .nat({ max: 20 })
  .map((count) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`static${i}`, i])));

it.each<LayoutName>(['default', 'flat', 'otlp'])(
  'an entry that is completed with its resource is what it would be with the resource from the beginning: %s',
  (layout) => {
    const property = fc.property(fc.array(fields, { minLength: 1, maxLength: 4 }), staticFields, (parts, made) => {
      const options = { layout, fields: made };
      const shared = layoutWith(options);
      const pool = new BufferPool();
      const deferred = new DeferredEntries({ layout: shared, pool, resourceBytes: 0, nesting: 0 });
      for (const each of parts) deferred.add(record(each), each.severityNumber, 'a.tag', NOW);
      const entries = [...deferred].map(({ bytes, gap }) => {
        const writer = new Writer(pool, 0);
        shared.complete?.(writer, bytes, gap, resource as unknown as Resource);
        return Buffer.from(writer.buffer.subarray(0, writer.position));
      });
      for (const [i, each] of parts.entries()) {
        const [chunk] = batchEncoder(options).encode([record({ ...each, resource })], NOW).chunks as [Chunk];
        // With the layout otlp a group is around it.
        const expected = Buffer.from(chunk.payload);
        if (layout === 'otlp') expect(expected.includes(entries[i] as Buffer)).toBe(true);
        else expect((entries[i] as Buffer).equals(expected)).toBe(true);
      }
    });
    fc.assert(property, RUNS);
  },
);
