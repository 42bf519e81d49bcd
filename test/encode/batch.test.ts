import { Decoder } from '@msgpack/msgpack';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { EncodedBatch } from '../../src/encode/batch.ts';
import { BufferPool } from '../../src/encode/buffer-pool.ts';
import type { Chunk } from '../../src/encode/chunk.ts';
import { assertReadable } from '../support/readable.ts';
import { batchEncoder, decodeChunk, type EncoderOptions, NOW, record } from '../support/records.ts';
import { RUNS } from '../support/runs.ts';

const MAX = 1_000_000;
const CEILING = 6_000_000;
/** What a chunk may stay below its limit by: room is kept for the largest `size` that the option can have. */
const SLACK = 4;

const ofLength = (length: number): ReturnType<typeof record> => record({ body: 'x'.repeat(length) });

function encodeBatch(lengths: readonly number[], options: EncoderOptions = {}): EncodedBatch {
  return batchEncoder({ maxStringBytes: CEILING, ...options }).encode(lengths.map(ofLength), NOW);
}

/** The lengths of the bodies in each chunk. */
function lengthsOf({ chunks }: EncodedBatch): number[][] {
  return chunks.map((chunk) => decodeChunk(chunk).entries.map(({ record }) => (record.message as string).length));
}

function onlyChunk({ chunks }: EncodedBatch): Chunk {
  expect(chunks).toHaveLength(1);
  return chunks[0] as Chunk;
}

describe('chunks', () => {
  it('a chunk contains its tag, its entries as bin, and an option with size and chunk id', () => {
    const chunk = onlyChunk(encodeBatch([1, 2, 3], { tag: 'größe.tag' }));
    const { tag, payload, option, entries } = decodeChunk(chunk);
    expect(tag).toBe('größe.tag');
    expect(chunk.tag).toBe('größe.tag');
    expect(option).toStrictEqual({ size: 3, chunk: chunk.id });
    expect(chunk.records).toBe(3);
    expect(entries).toHaveLength(3);
    expect(assertReadable(payload)).toBe(3);
    // The types that @msgpack/msgpack does not tell apart: fixarray of 3, fixstr, bin32; str for the id.
    const bytes = Buffer.from(chunk.bytes);
    expect([bytes[0], bytes[1], bytes[2 + 11]]).toEqual([0x93, 0xab, 0xc6]);
    expect(bytes.subarray(-25).toString('latin1')).toBe(`\xb8${chunk.id}`);
  });

  it.each([127, 128, 255, 256, 65_535, 65_536, 70_000])(
    'a chunk counts its entries in the option size: %i',
    (records) => {
      const batch = encodeBatch(new Array(records).fill(0), { maxChunkBytes: CEILING });
      expect(decodeChunk(onlyChunk(batch)).option.size).toBe(records);
    },
  );

  it('every chunk has its own id, base64 of 16 bytes', () => {
    const ids = new Set<string>();
    const encoder = batchEncoder();
    for (let i = 0; i < 1_000; i++) {
      const { id } = onlyChunk(encoder.encode([ofLength(1)], NOW));
      expect(Buffer.from(id, 'base64').toString('base64')).toBe(id);
      expect(Buffer.from(id, 'base64')).toHaveLength(16);
      ids.add(id);
    }
    expect(ids.size).toBe(1_000);
  });

  it('the tag of a chunk is valid UTF-8 even if the option tag is not', () => {
    const { bytes } = onlyChunk(encodeBatch([1], { tag: 'a\ud800' }));
    const [tag] = new Decoder({ rawStrings: true }).decode(bytes) as [Uint8Array];
    expect(Buffer.from(tag).toString('hex')).toBe('61efbfbd');
  });

  it('the encoder makes no chunk when there are no records', () => {
    expect(encodeBatch([])).toEqual({
      chunks: [],
      filtered: 0,
      dropped: 0,
      oversize: 0,
      dropCause: undefined,
      dropReason: undefined,
    });
  });
});

describe('maxChunkBytes', () => {
  it('the encoder cuts a chunk at the exact byte of maxChunkBytes', () => {
    const alone = onlyChunk(encodeBatch([400_000])).bytes.length;
    const entry = onlyChunk(encodeBatch([400_000, 400_000])).bytes.length - alone;
    for (let total = MAX - 10; total <= MAX + 10; total++) {
      const second = 400_000 + total - alone - entry;
      const batch = encodeBatch([400_000, second]);
      const [first] = batch.chunks as [Chunk];
      expect(lengthsOf(batch)).toEqual(total <= MAX - SLACK ? [[400_000, second]] : [[400_000], [second]]);
      if (batch.chunks.length === 1) expect(first.bytes).toHaveLength(total);
    }
  });

  it('the encoder keeps the order, obeys maxChunkBytes and cuts no chunk too early for records of any size', () => {
    const sizes = fc.array(fc.oneof(fc.nat(50), fc.nat(1_500), fc.nat(9_000)), { minLength: 1, maxLength: 60 });
    const property = fc.property(sizes, fc.integer({ min: 2_048, max: 12_000 }), (lengths, maxChunkBytes) => {
      const batch = encodeBatch(lengths, { maxChunkBytes });
      const cut = lengthsOf(batch);
      expect(cut.flat()).toEqual(lengths);
      for (const [i, chunk] of batch.chunks.entries()) {
        const { entries, option, payload } = decodeChunk(chunk);
        expect(assertReadable(payload)).toBe(option.size);
        expect(chunk.records).toBe(entries.length);
        if (chunk.records > 1) expect(chunk.bytes.length).toBeLessThanOrEqual(maxChunkBytes);
        const next = cut[i + 1]?.[0];
        if (next === undefined) continue;
        const nextEntry = decodeChunk(onlyChunk(encodeBatch([next]))).payload.length;
        expect(chunk.bytes.length + nextEntry).toBeGreaterThan(maxChunkBytes - SLACK);
      }
    });
    fc.assert(property, RUNS);
  });

  it('an entry larger than maxChunkBytes goes into a chunk of its own', () => {
    expect(lengthsOf(encodeBatch([5, 2_000_000, 6, 7]))).toEqual([[5], [2_000_000], [6, 7]]);
    expect(lengthsOf(encodeBatch([2_000_000, 2_000_000, 1]))).toEqual([[2_000_000], [2_000_000], [1]]);
  });

  it('chunks cut from one batch have different ids', () => {
    const { chunks } = encodeBatch(new Array(2_000).fill(2_000), { maxChunkBytes: 2_048 });
    expect(new Set(chunks.map(({ id }) => id)).size).toBe(2_000);
  });
});

describe('records that cannot be sent', () => {
  // In one string, for which room must be made, and in many, which end in the room of those before.
  it.each([
    ['string', (length: number) => 'x'.repeat(length)],
    ['array', (length: number) => [...new Array(59).fill('x'.repeat(100_000)), 'x'.repeat(length - 5_900_000)]],
  ])('the encoder drops a record that would need a chunk above 6,000,000 bytes, to the byte: %s', (_, body) => {
    const encode = (length: number): EncodedBatch =>
      batchEncoder({ maxStringBytes: CEILING }).encode([record({ body: body(length) })], NOW);
    const overhead = onlyChunk(encode(5_980_000)).bytes.length - 5_980_000;
    for (let total = CEILING - 8; total <= CEILING + 3; total++) {
      const batch = encode(total - overhead);
      expect(batch.dropped).toBe(total <= CEILING - SLACK ? 0 : 1);
      for (const chunk of batch.chunks) expect(chunk.bytes).toHaveLength(total);
    }
  });

  // The room for a record must not depend on where in a chunk it begins.
  it('a record fits or is dropped regardless of the records before it in the batch', () => {
    const overhead = onlyChunk(encodeBatch([100_000])).bytes.length - 100_000;
    for (const before of [10, 900_000]) {
      const fits = CEILING - SLACK - overhead;
      expect(lengthsOf(encodeBatch([before, fits, 10]))).toEqual([[before], [fits], [10]]);
      const batch = encodeBatch([before, fits + 1, 10]);
      expect({ lengths: lengthsOf(batch), dropped: batch.dropped }).toEqual({ lengths: [[before, 10]], dropped: 1 });
    }
  });

  it('the encoder drops only the records that are too large, counts them and gives the reason', () => {
    const half = 'x'.repeat(3_500_000);
    const records = [
      ofLength(1),
      record({ body: [half, half] }),
      ofLength(2),
      record({ body: half, attributes: { half } }),
    ];
    const batch = batchEncoder({ maxStringBytes: CEILING }).encode([...records, ofLength(3)], NOW);
    expect(lengthsOf(batch)).toEqual([[1, 2, 3]]);
    expect(batch).toMatchObject({
      dropped: 2,
      dropReason: 'it takes more than 6000000 bytes, the most a receiver accepts',
    });
  });

  it('the encoder drops only the records that throw when they are read, with the reason', () => {
    const unreadable = Object.defineProperty({ ...ofLength(1) }, 'body', {
      get() {
        throw new Error('gone');
      },
    });
    const batch = batchEncoder().encode([unreadable, ofLength(2), unreadable], NOW);
    expect(lengthsOf(batch)).toEqual([[2]]);
    expect(batch).toMatchObject({ dropped: 2, dropReason: 'it cannot be read: [Threw: gone]' });
  });

  it('the encoder returns its buffer to the pool when the only record is too large', () => {
    const pool = new BufferPool();
    expect(encodeBatch([CEILING], { pool }).chunks).toEqual([]);
    expect(pool.retainedBytes).toBeGreaterThan(0);
  });
});

describe('the memory of a chunk', () => {
  it('a chunk holds at most twice its length in memory, whatever size was guessed for it', () => {
    const encoder = batchEncoder({ maxStringBytes: CEILING });
    // Guesses from 512 bytes a record to the last batch's mean: far too high, far too low, right.
    for (const lengths of [
      [1],
      new Array(500).fill(1),
      [2_500_000],
      new Array(500).fill(1),
      [70_000, 1, 70_000],
      [1],
    ]) {
      for (const chunk of encoder.encode(lengths.map(ofLength), NOW).chunks) {
        expect(chunk.heldBytes).toBeLessThanOrEqual(Math.max(1024, 2 * chunk.bytes.length));
        expect(chunk.heldBytes).toBeGreaterThanOrEqual(chunk.bytes.length);
      }
    }
  });

  it('a chunk gives its memory back to the pool at its last release, and only then', () => {
    const pool = new BufferPool();
    const encoder = batchEncoder({ pool });
    const chunk = onlyChunk(encoder.encode([ofLength(3_000)], NOW));
    const before = pool.retainedBytes;
    const content = Buffer.from(chunk.bytes);
    // A socket still reads the bytes when the chunk is settled, here by an ack on another connection.
    chunk.retain();
    chunk.release();
    expect(pool.retainedBytes).toBe(before);
    const others = Array.from({ length: 20 }, () => onlyChunk(encoder.encode([ofLength(2_900)], NOW)));
    expect(Buffer.from(chunk.bytes).equals(content)).toBe(true);
    for (const other of others) expect(other.bytes.buffer).not.toBe(chunk.bytes.buffer);
    const held = pool.retainedBytes;
    chunk.release();
    expect(pool.retainedBytes).toBe(held + chunk.heldBytes);
    // One release too many must not lend the same memory twice.
    chunk.release();
    expect(pool.retainedBytes).toBe(held + chunk.heldBytes);
  });

  it('the next chunk reuses the memory of a chunk that was released', () => {
    const encoder = batchEncoder({ pool: new BufferPool() });
    const buffers = new Set<ArrayBufferLike>();
    for (let i = 0; i < 50; i++) {
      const chunk = onlyChunk(encoder.encode([ofLength(3_000), ofLength(10)], NOW));
      buffers.add(chunk.bytes.buffer);
      chunk.release();
    }
    expect(buffers.size).toBeLessThanOrEqual(2);
  });

  it('reused memory contains nothing of the chunk before, and the pool keeps no more than its cap', () => {
    const pool = new BufferPool();
    const encoder = batchEncoder({ pool });
    const secret = 'secret'.repeat(500);
    const chunks = Array.from({ length: 40 }, () => onlyChunk(encoder.encode([record({ body: secret })], NOW)));
    const large = encodeBatch(new Array(20).fill(700_000), { pool }).chunks;
    for (const chunk of [...chunks, ...large]) chunk.release();
    expect(pool.retainedBytes).toBeLessThanOrEqual(4 * 1024 * 1024);
    const { bytes } = onlyChunk(encoder.encode([ofLength(10)], NOW));
    expect(Buffer.from(bytes).includes('secret')).toBe(false);
  });
});

describe('nested encoding', () => {
  it('the encoder completes both batches when a value encodes another batch while it is read', () => {
    const encoder = batchEncoder({ pool: new BufferPool() });
    const inner: EncodedBatch[] = [];
    const logs = {
      toJSON() {
        inner.push(encoder.encode([ofLength(5), ofLength(3_000)], NOW));
        return 'x'.repeat(2_000);
      },
    };
    const outer = encoder.encode([ofLength(1), record({ body: [logs, logs] }), ofLength(2)], NOW);
    expect(inner.map(lengthsOf)).toEqual([[[5, 3_000]], [[5, 3_000]]]);
    const entries = decodeChunk(onlyChunk(outer)).entries.map((entry) => entry.record);
    expect(entries).toEqual([{ message: 'x' }, { body: ['x'.repeat(2_000), 'x'.repeat(2_000)] }, { message: 'xx' }]);
    const ids = [outer, ...inner].flatMap(({ chunks }) => chunks.map(({ id }) => id));
    expect(new Set(ids).size).toBe(3);
  });

  it('a chunk does not change when the application changes a body after encoding', () => {
    const body = { a: 1 };
    const batch = batchEncoder().encode([record({ body })], NOW);
    body.a = 2;
    expect(decodeChunk(onlyChunk(batch)).entries[0]?.record).toEqual({ body: { a: 1 } });
  });
});
