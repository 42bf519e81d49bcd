import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BufferPool } from '../../src/encode/buffer-pool.ts';
import type { Chunk } from '../../src/encode/chunk.ts';
import type { LayoutName } from '../../src/encode/layout/layouts.ts';
import { GROUP_END, GROUP_START } from '../../src/encode/layout/otlp.ts';
import { type Added, OpenChunk } from '../../src/encode/open-chunk.ts';
import { TooLargeError } from '../../src/encode/writer.ts';
import { anything } from '../support/arbitraries.ts';
import { assertReadable, assertReadableAsOtlp } from '../support/readable.ts';
import { batchEncoder, decodeChunk, type EncoderOptions, layoutWith, NOW, record } from '../support/records.ts';
import { RUNS } from '../support/runs.ts';

const TAG = 'a.tag';

/** An open chunk with the exporter's defaults. Chunks that share a layout have the same groups. */
function openChunk(options: EncoderOptions & { bytes?: number } = {}, layout = layoutWith(options)): OpenChunk {
  const { bytes = 0, maxChunkBytes = 1_000_000, ceilingBytes = 6_000_000, pool = new BufferPool() } = options;
  return new OpenChunk({ tag: TAG, layout, pool, limits: { maxChunkBytes, ceilingBytes }, bytes, openedAt: 0 });
}

function add(chunk: OpenChunk, from: ReadableLogRecord): Added {
  return chunk.add(from, from.severityNumber, NOW, from.resource);
}

function sealed(chunk: OpenChunk): Chunk {
  const made = chunk.seal();
  if (made === undefined) throw new Error('the chunk has no records');
  return made;
}

const scopes = [{ name: 'one' }, { name: 'two', version: '2' }, { name: 'three' }];
const resources = [{ attributes: { host: 'a' } }, { attributes: { host: 'b' } }];

/** What a chunk of the layout `otlp` consists of: beginnings and ends of groups, and the bodies between them. */
function otlpEntries(chunk: Chunk): unknown[] {
  return decodeChunk(chunk).entries.map(({ time: [seconds], record: content }) => {
    if (seconds === GROUP_START) return (content.scope as { name?: string })?.name ?? 'no scope';
    return seconds === GROUP_END ? 'end' : content.log;
  });
}

describe('a sealed chunk', () => {
  it.each<LayoutName>(['default', 'flat', 'otlp'])(
    'an open chunk has the same entries as a batch of the same records: %s',
    (layout) => {
      const part = fc.record({
        resource: fc.constantFrom(...resources),
        instrumentationScope: fc.constantFrom(...scopes),
        body: anything,
        severityNumber: fc.integer({ min: 0, max: 24 }),
        attributes: fc.dictionary(fc.string(), anything, { maxKeys: 4 }),
      });
      fc.assert(
        fc.property(fc.array(part, { minLength: 1, maxLength: 12 }), fc.nat({ max: 5_000 }), (parts, bytes) => {
          const records = parts.map((fields) => record(fields));
          const options = { layout, maxChunkBytes: 6_000_000, bytes };
          const chunk = openChunk(options);
          for (const each of records) expect(add(chunk, each)).toBe('added');
          const actual = sealed(chunk);
          const [expected] = batchEncoder(options).encode(records, NOW).chunks as [Chunk];
          expect(Buffer.from(actual.payload).equals(expected.payload)).toBe(true);
          expect([actual.records, actual.entries, actual.tag]).toEqual([expected.records, expected.entries, TAG]);
          expect(decodeChunk(actual).option).toEqual({ size: expected.entries, chunk: actual.id });
          const assertAll = layout === 'otlp' ? assertReadableAsOtlp : assertReadable;
          expect(assertAll(actual.payload)).toBe(actual.entries);
        }),
        RUNS,
      );
    },
  );

  it('an open chunk says how large it will be when it is sealed', () => {
    const chunk = openChunk({ layout: 'otlp' });
    for (let i = 0; i < 50; i++) add(chunk, record({ body: 'x'.repeat(i), instrumentationScope: scopes[i % 3] }));
    const { bytes } = chunk;
    const { length } = sealed(chunk).bytes;
    // The option can be four bytes shorter.
    expect(bytes - length).toBeGreaterThanOrEqual(0);
    expect(bytes - length).toBeLessThanOrEqual(4);
  });

  it('an open chunk counts its records by their severities', () => {
    const chunk = openChunk();
    for (const severityNumber of [9, 9, 17, undefined]) add(chunk, record({ severityNumber }));
    expect(String(chunk.severities)).toBe('ERROR 1, INFO 2, unset 1');
    expect(sealed(chunk).records).toBe(4);
  });
});

describe('groups', () => {
  const alternating = Array.from({ length: 9 }, (_, i) => record({ body: i, instrumentationScope: scopes[i % 3] }));

  it('alternating scopes repeat no group header in an open chunk', () => {
    const chunk = openChunk({ layout: 'otlp' });
    for (const each of alternating) add(chunk, each);
    expect(chunk.buffers).toBe(3);
    const expected = ['one', 0, 3, 6, 'end', 'two', 1, 4, 7, 'end', 'three', 2, 5, 8, 'end'];
    expect(otlpEntries(sealed(chunk))).toEqual(expected);
  });

  it('scopes with the same content have one group in an open chunk', () => {
    const chunk = openChunk({ layout: 'otlp' });
    for (let i = 0; i < 4; i++) add(chunk, record({ body: i, instrumentationScope: { name: 'same' } }));
    expect(otlpEntries(sealed(chunk))).toEqual(['same', 0, 1, 2, 3, 'end']);
  });

  it.each([
    ['first', [0]],
    ['middle', [1]],
    ['last', [2]],
    ['first two', [0, 1]],
  ])('the %s group of an open chunk is not written if its records cannot be encoded', (_, empty) => {
    const pool = new BufferPool();
    const chunk = openChunk({ layout: 'otlp', pool });
    for (const [i, instrumentationScope] of scopes.entries()) {
      if (empty.includes(i)) expect(() => add(chunk, unreadable({ instrumentationScope }))).toThrow('thrown');
      else add(chunk, record({ body: i, instrumentationScope }));
    }
    const made = sealed(chunk);
    const left = [0, 1, 2].filter((i) => !empty.includes(i));
    expect(otlpEntries(made)).toEqual(left.flatMap((i) => [scopes[i]?.name, i, 'end']));
    expect([made.records, made.entries]).toEqual([left.length, 3 * left.length]);
    assertReadableAsOtlp(made.payload);
  });
});

describe('a record that is not added', () => {
  it.each<LayoutName>(['default', 'otlp'])(
    'a record that cannot be encoded leaves no byte in an open chunk: %s',
    (layout) => {
      const chunk = openChunk({ layout });
      add(chunk, record({ body: 'before' }));
      const { bytes } = chunk;
      expect(() => add(chunk, unreadable({ body: 'x'.repeat(9_000) }))).toThrow('thrown');
      expect([chunk.bytes, chunk.records]).toEqual([bytes, 1]);
      add(chunk, record({ body: 'after' }));
      const other = openChunk({ layout });
      for (const body of ['before', 'after']) add(other, record({ body }));
      expect(Buffer.from(sealed(chunk).payload).equals(sealed(other).payload)).toBe(true);
    },
  );

  it('an open chunk does not count a record that the layout function leaves out', () => {
    const chunk = openChunk({ layout: ({ body }, entry) => (body === 'secret' ? undefined : entry) });
    expect(['a', 'secret', 'b'].map((body) => add(chunk, record({ body })))).toEqual(['added', 'filtered', 'added']);
    expect(decodeChunk(sealed(chunk)).entries.map((entry) => entry.record.message)).toEqual(['a', 'b']);
  });

  it('a record that is too large for any message is dropped alone, and the others stay in the open chunk', () => {
    const chunk = openChunk({ ceilingBytes: 4_000 });
    add(chunk, record({ body: 'small' }));
    expect(() => add(chunk, record({ body: 'x'.repeat(4_000) }))).toThrow(TooLargeError);
    add(chunk, record({ body: 'also small' }));
    expect(decodeChunk(sealed(chunk)).entries.map((entry) => entry.record.message)).toEqual(['small', 'also small']);
  });
});

describe('a chunk that is full', () => {
  it.each<LayoutName>(['default', 'otlp'])(
    'an open chunk that is full passes the record that does not fit to the next one: %s',
    (layout) => {
      const options: EncoderOptions = { layout, maxChunkBytes: 3_000 };
      const shared = layoutWith(options);
      let chunk = openChunk(options, shared);
      const chunks: Chunk[] = [];
      const bodies = Array.from({ length: 100 }, (_, i) => `${i} ${'x'.repeat((i * 37) % 500)}`);
      for (const [i, body] of bodies.entries()) {
        const each = record({ body, severityNumber: 9, instrumentationScope: scopes[i % 2] });
        if (add(chunk, each) !== 'overflow') continue;
        const next = openChunk(options, shared);
        chunk.moveLastTo(next, 9);
        chunks.push(sealed(chunk));
        chunk = next;
      }
      chunks.push(sealed(chunk));
      expect(chunks.length).toBeGreaterThan(5);
      for (const { bytes } of chunks) expect(bytes.length).toBeLessThanOrEqual(3_000);
      const entries = chunks.flatMap((each) => decodeChunk(each).entries);
      const sent = entries
        .map((entry) => entry.record.message ?? entry.record.log)
        .filter((body) => body !== undefined);
      expect(sent.sort()).toEqual([...bodies].sort());
    },
  );

  it('an open chunk takes one record that is larger than maxChunkBytes, if it is alone', () => {
    const chunk = openChunk({ maxChunkBytes: 3_000 });
    expect(add(chunk, record({ body: 'x'.repeat(5_000) }))).toBe('added');
    expect(add(chunk, record({ body: 'y' }))).toBe('overflow');
    expect(decodeChunk(sealed(chunk)).entries).toHaveLength(1);
  });
});

describe('the memory of a chunk', () => {
  it('the memory of an open chunk is that of its buffers', () => {
    const chunk = openChunk({ layout: 'otlp', bytes: 8_192 });
    expect([chunk.heldBytes, chunk.buffers]).toEqual([0, 1]);
    add(chunk, record({ instrumentationScope: scopes[0] }));
    expect([chunk.heldBytes, chunk.buffers]).toEqual([8_192, 1]);
    add(chunk, record({ instrumentationScope: scopes[1] }));
    expect([chunk.heldBytes, chunk.buffers]).toEqual([8_192 + 1_024, 2]);
  });

  it('the memory of an open chunk is counted also if the record that made it grow cannot be encoded', () => {
    const chunk = openChunk();
    expect(() => add(chunk, unreadable({ body: 'x'.repeat(9_000) }))).toThrow('thrown');
    expect(chunk.heldBytes).toBeGreaterThan(9_000);
  });

  it.each(['seal', 'release'] as const)(
    'the memory of an open chunk without records goes back to the pool: %s',
    (end) => {
      const pool = new BufferPool();
      const chunk = openChunk({ layout: 'otlp', pool });
      for (const instrumentationScope of scopes) {
        expect(() => add(chunk, unreadable({ instrumentationScope }))).toThrow('thrown');
      }
      const { retainedBytes } = pool;
      expect(chunk[end]()).toBeUndefined();
      expect(pool.retainedBytes - retainedBytes).toBe(3 * 1_024);
    },
  );

  it('the memory of an open chunk goes back to the pool when the sealed chunk is released', () => {
    const pool = new BufferPool();
    const chunk = openChunk({ layout: 'otlp', pool });
    for (const instrumentationScope of scopes) add(chunk, record({ instrumentationScope }));
    const { heldBytes } = chunk;
    const made = sealed(chunk);
    made.release();
    expect(pool.retainedBytes).toBeGreaterThanOrEqual(heldBytes);
  });
});

/** A record that fails when a part of it is written. */
function unreadable(fields: Parameters<typeof record>[0]): ReadableLogRecord {
  return Object.defineProperty(record(fields), 'spanContext', {
    get: () => {
      throw new Error('thrown');
    },
  });
}
