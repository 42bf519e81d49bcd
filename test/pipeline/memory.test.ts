import { describe, expect, it } from 'vitest';
import type { Chunk } from '../../src/encode/chunk.ts';
import { MemoryBound } from '../../src/pipeline/memory.ts';
import { batchEncoder, NOW, record } from '../support/records.ts';

const SMALL = 'x';
const LARGE = 'x'.repeat(1_500);

function chunkOf(body: string): Chunk {
  return batchEncoder().encode([record({ body })], NOW).chunks[0] as Chunk;
}

describe('the memory bound', () => {
  it('each chunk counts with the size of its buffer, which is at least 1024 bytes', () => {
    const memory = new MemoryBound(3_840);
    const chunks = [chunkOf(SMALL), chunkOf(LARGE)];
    for (const chunk of chunks) memory.hold(chunk);
    expect([memory.usedBytes, memory.isReached]).toEqual([1_024 + 1_792, false]);
    memory.hold(chunkOf(SMALL));
    expect([memory.usedBytes, memory.isReached]).toEqual([3_840, true]);
    for (const chunk of chunks) memory.release(chunk);
    expect([memory.usedBytes, memory.isReached]).toEqual([1_024, false]);
  });

  it('a released chunk counts until nothing reads it any more', () => {
    const memory = new MemoryBound(1_024);
    const chunk = chunkOf(SMALL);
    memory.hold(chunk);
    // As a socket does that has stalled.
    chunk.retain();
    memory.release(chunk);
    expect(memory.usedBytes).toBe(1_024);
    chunk.release();
    expect(memory.usedBytes).toBe(0);
  });
});
