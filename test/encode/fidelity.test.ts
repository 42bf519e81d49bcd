import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { EncodedBatch } from '../../src/encode/batch.ts';
import type { LayoutName } from '../../src/encode/layout/layouts.ts';
import { parseTag, type TagTemplate } from '../../src/encode/tag.ts';
import { recordFields } from '../support/arbitraries.ts';
import { expectedEntry, expectedGroup, type PlainRecord } from '../support/expected-entry.ts';
import { assertReadable, assertReadableAsOtlp } from '../support/readable.ts';
import { batchEncoder, type DecodedEntry, decodeChunk, NOW, record } from '../support/records.ts';
import { RUNS } from '../support/runs.ts';

const layouts = fc.constantFrom<LayoutName>('default', 'flat', 'otlp');

/** The entries of a batch's chunks; each must obey the receivers' limits. */
function entriesOf(layout: LayoutName, { chunks }: EncodedBatch): DecodedEntry[] {
  return chunks.flatMap((chunk) => {
    const { entries, option, payload } = decodeChunk(chunk);
    expect((layout === 'otlp' ? assertReadableAsOtlp : assertReadable)(payload)).toBe(option.size);
    expect(entries).toHaveLength(option.size as number);
    return entries;
  });
}

describe('records with any values', () => {
  it('a receiver decodes every field of any record as documented, in each layout', () => {
    const property = fc.property(layouts, recordFields, (layout, fields) => {
      const given = record(fields);
      const batch = batchEncoder({ layout }).encode([given], NOW);
      expect(batch.dropReason).toBeUndefined();
      const entries = entriesOf(layout, batch);
      const plain = given as unknown as PlainRecord;
      if (layout === 'otlp') {
        const [header, entry] = entries;
        expect(header?.record).toStrictEqual(expectedGroup(plain));
        expect(entry).toStrictEqual(expectedEntry(layout, plain, NOW));
      } else {
        expect(entries).toStrictEqual([expectedEntry(layout, plain, NOW)]);
      }
    });
    fc.assert(property, RUNS);
  });

  it('the encoder writes the same bytes for the same record, also through a layout function that changes nothing', () => {
    const property = fc.property(layouts, fc.boolean(), recordFields, (layout, isCustom, fields) => {
      const bytes = (options: Parameters<typeof batchEncoder>[0]): Buffer => {
        const { chunks } = batchEncoder(options).encode([record(fields)], NOW);
        return Buffer.concat(chunks.map((chunk) => decodeChunk(chunk).payload));
      };
      const [one, other] = isCustom
        ? [bytes({ layout: (_, entry) => entry }), bytes({ layout: 'default' })]
        : [bytes({ layout }), bytes({ layout })];
      expect(one.equals(other)).toBe(true);
    });
    fc.assert(property, RUNS);
  });

  it('the encoder leaves the records that it encodes unchanged', () => {
    const property = fc.property(layouts, recordFields, (layout, fields) => {
      const given = record(fields);
      const before = fc.stringify(given);
      batchEncoder({ layout, recordUid: true, fields: { env: 'prod' } }).encode([given], NOW);
      expect(fc.stringify(given)).toBe(before);
    });
    fc.assert(property, RUNS);
  });
});

describe('batches cut into chunks', () => {
  const tag = parseTag('app.${attributes.t:-none}') as TagTemplate;
  const resources = ['r1', 'r2', 'r3'].map((r) => ({ attributes: { r } }));
  const records = fc.array(
    fc.record({ t: fc.constantFrom('a', 'b', 'c', undefined), r: fc.nat(2), length: fc.nat(1_200) }),
    { minLength: 1, maxLength: 40 },
  );

  it('cutting a batch loses no record, keeps the order within tag and group, and obeys maxChunkBytes', () => {
    const property = fc.property(
      layouts,
      fc.integer({ min: 2_048, max: 9_000 }),
      records,
      (layout, maxChunkBytes, made) => {
        const given = made.map(({ t, r, length }, n) =>
          record({ attributes: { t, n }, body: 'x'.repeat(length), resource: resources[r] }),
        );
        const batch = batchEncoder({ layout, tag, maxChunkBytes }).encode(given, NOW);
        const received = new Map<string, number[]>();
        for (const chunk of batch.chunks) {
          expect(chunk.bytes.length).toBeLessThanOrEqual(maxChunkBytes);
          let group = '';
          let records = 0;
          for (const entry of entriesOf(layout, { ...batch, chunks: [chunk] })) {
            const n = numberOf(entry);
            if (n === undefined) {
              group = (entry.record.resource as { attributes: { r: string } } | undefined)?.attributes.r ?? '';
              continue;
            }
            records++;
            const key = `${chunk.tag} ${group}`;
            received.set(key, [...(received.get(key) ?? []), n]);
          }
          expect(records).toBe(chunk.records);
        }
        const expected = new Map<string, number[]>();
        for (const [n, { t, r }] of made.entries()) {
          const key = `app.${t ?? 'none'} ${layout === 'otlp' ? `r${r + 1}` : ''}`;
          expected.set(key, [...(expected.get(key) ?? []), n]);
        }
        expect(received).toEqual(expected);
      },
    );
    fc.assert(property, RUNS);
  });

  /** The attribute `n`, wherever it is; group markers have none. */
  function numberOf({ metadata, record }: DecodedEntry): number | undefined {
    const otlp = metadata?.otlp as { attributes: { n: number } } | undefined;
    return (otlp?.attributes ?? record.attributes ?? record)?.['n' as never];
  }
});
