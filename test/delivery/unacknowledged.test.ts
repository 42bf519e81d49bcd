import { describe, expect, it } from 'vitest';
import { describeRefusal, describeRefusedChunk } from '../../src/delivery/unacknowledged.ts';
import type { Chunk } from '../../src/encode/chunk.ts';

const SIZES = 'compare chunk_size_limit (Fluentd) and buffer_max_size (Fluent Bit) with maxChunkBytes';
const REFUSED = '(2 record(s), tag "a") is not acknowledged although others are: receivers probably refuse it; ';

/** A chunk of two records in 300 bytes, compressed or not. */
function chunkOf(name?: string): Chunk {
  const compression = name === undefined ? undefined : { name, rawBytes: 1_000 };
  return { bytes: { length: 300 }, records: 2, tag: 'a', compression } as unknown as Chunk;
}

describe('describeRefusal', () => {
  it.each([
    [undefined, `a chunk of 300 bytes ${REFUSED}${SIZES}`],
    ['gzip', `a chunk of 300 bytes (1000 before gzip) ${REFUSED}${SIZES}`],
    [
      'zstd',
      `a chunk of 300 bytes (1000 before zstd) ${REFUSED}zstd, which Fluentd before 1.19 and Fluent Bit before 4.1 lack; ${SIZES}`,
    ],
  ])('the message about a refused chunk names the receivers that lack its compression: %s', (name, message) => {
    expect(describeRefusal(chunkOf(name))).toBe(message);
  });

  it('the description of a refused chunk names them too', () => {
    expect([describeRefusedChunk(chunkOf()), describeRefusedChunk(chunkOf('zstd'))]).toEqual([
      'a chunk of 300 bytes (2 record(s), tag "a")',
      'a chunk of 300 bytes (1000 before zstd) (2 record(s), tag "a"); zstd, which Fluentd before 1.19 and Fluent Bit before 4.1 lack',
    ]);
  });
});
