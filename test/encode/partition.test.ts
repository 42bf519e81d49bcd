import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { EncodedBatch } from '../../src/encode/batch.ts';
import { FunctionTagger, parseTag, type TagTemplate } from '../../src/encode/tag.ts';
import { batchEncoder, decodeChunk, type EncoderOptions, NOW, record } from '../support/records.ts';
import { RUNS } from '../support/runs.ts';

const TEMPLATE = parseTag('app.${attributes.t:-none}') as TagTemplate;

function encode(tags: readonly unknown[], options: EncoderOptions = {}): EncodedBatch {
  const records = tags.map((t, body) =>
    record({ attributes: { t }, body, resource: { attributes: { r: `r${body % 2}` } } }),
  );
  return batchEncoder({ tag: TEMPLATE, ...options }).encode(records, NOW);
}

/** The bodies of each chunk behind its tag. */
function byTag({ chunks }: EncodedBatch): [unknown, unknown[]][] {
  return chunks.map((chunk) => {
    const { tag, entries } = decodeChunk(chunk);
    expect(chunk.tag).toBe(tag);
    return [tag, entries.map(({ record }) => record.body)];
  });
}

describe('batches with several tags', () => {
  it('a batch with several tags becomes a chunk for each tag, in the order of first records', () => {
    expect(byTag(encode(['b', 'a', 'b', undefined, 'a', 'b']))).toEqual([
      ['app.b', [0, 2, 5]],
      ['app.a', [1, 4]],
      ['app.none', [3]],
    ]);
  });

  it('the encoder cuts the records of each tag separately at maxChunkBytes', () => {
    const { chunks } = batchEncoder({ tag: TEMPLATE, maxChunkBytes: 2_048 }).encode(
      Array.from({ length: 20 }, (_, i) => record({ body: 'x'.repeat(500), attributes: { t: i % 2 } })),
      NOW,
    );
    for (const chunk of chunks) expect(chunk.bytes.length).toBeLessThanOrEqual(2_048);
    expect(chunks.map(({ tag, records }) => [tag, records])).toEqual([
      ['app.0', 3],
      ['app.0', 3],
      ['app.0', 3],
      ['app.0', 1],
      ['app.1', 3],
      ['app.1', 3],
      ['app.1', 3],
      ['app.1', 1],
    ]);
  });

  it('the layout otlp groups the records of each tag separately', () => {
    const { chunks } = encode(['a', 'b', 'a', 'a'], { layout: 'otlp' });
    const outlines = chunks.map((chunk) => decodeChunk(chunk).entries.map(({ record }) => record.log ?? '|'));
    expect(outlines).toEqual([
      ['|', 0, 2, '|', '|', 3, '|'],
      ['|', 1, '|'],
    ]);
    expect(chunks.map(({ tag, records }) => [tag, records])).toEqual([
      ['app.a', 3],
      ['app.b', 1],
    ]);
  });

  it('a batch loses no record and keeps the order within each tag, whatever the tags', () => {
    const property = fc.property(fc.array(fc.integer({ min: 0, max: 90 }), { maxLength: 200 }), (tags) => {
      const parts = byTag(encode(tags));
      expect(parts.flatMap(([, bodies]) => bodies).sort((a, b) => Number(a) - Number(b))).toEqual([...tags.keys()]);
      for (const [, bodies] of parts) expect(bodies).toEqual([...bodies].sort((a, b) => Number(a) - Number(b)));
      expect(new Set(parts.map(([tag]) => tag)).size).toBe(parts.length);
      expect(parts.length).toBeLessThanOrEqual(65);
    });
    fc.assert(property, RUNS);
  });

  it('the encoder drops a record that cannot be read and keeps the others of a batch', () => {
    const batch = batchEncoder({ tag: TEMPLATE }).encode([undefined as never, record({ attributes: { t: 'a' } })], NOW);
    expect(byTag(batch).map(([tag]) => tag)).toEqual(['app.a']);
    expect(batch.dropped).toBe(1);
  });
});

describe('batches with more than 64 tags', () => {
  const warnings: string[] = [];
  const warn = (_: string, message: string) => void warnings.push(message);

  it.each([
    ['a template', TEMPLATE, 'app.none'],
    [
      'a function',
      new FunctionTagger(
        ({ attributes }) => `app.${attributes.t}`,
        () => {},
      ),
      'opentelemetry.logs',
    ],
  ])('records beyond 64 tags in a batch get the fallback tag and a warning, with tags from: %s', (_, tag, fallback) => {
    warnings.length = 0;
    const tags = Array.from({ length: 64 }, (_, i) => `t${i}`);
    expect(byTag(encode(tags, { tag, warn })).map(([tag]) => tag)).toEqual(tags.map((tag) => `app.${tag}`));
    expect(warnings).toEqual([]);
    const parts = byTag(encode([...tags, 'u', 't0', 'v', 't63', 'u'], { tag, warn }));
    expect(parts).toHaveLength(65);
    expect(parts[0]).toEqual(['app.t0', [0, 65]]);
    expect(parts[63]).toEqual(['app.t63', [63, 67]]);
    expect(parts[64]).toEqual([fallback, [64, 66, 68]]);
    expect(warnings).toEqual([
      `3 of 69 log records got the tag ${fallback}: a batch may have 64 tags, as each costs a message`,
    ]);
  });
});
