import { describe, expect, it } from 'vitest';
import { BufferPool, sizeClass } from '../../src/encode/buffer-pool.ts';

const MIB = 1024 * 1024;

describe('BufferPool', () => {
  it.each([
    [0, 1024],
    [1, 1024],
    [1024, 1024],
    [1025, 1280],
    [1281, 1536],
    [1793, 2048],
    [65_536, 65_536],
    [65_537, 81_920],
    [900_000, 917_504],
    [6_000_000, 6 * MIB],
  ])('the buffer pool rounds the size of a buffer up to a quarter of a power of two: %i to %i', (bytes, size) => {
    expect(sizeClass(bytes)).toBe(size);
    expect(new BufferPool().acquire(bytes)).toHaveLength(size);
  });

  it('the buffer pool lends a buffer again after its release, and not before', () => {
    const pool = new BufferPool();
    const first = pool.acquire(2048);
    expect(pool.acquire(2048)).not.toBe(first);
    pool.release(first);
    expect(pool.retainedBytes).toBe(2048);
    expect(pool.acquire(1024)).not.toBe(first);
    expect(pool.acquire(2000)).toBe(first);
    expect(pool.retainedBytes).toBe(0);
    expect(pool.acquire(2000)).not.toBe(first);
  });

  it('the buffer pool keeps no more than 4 MiB', () => {
    const pool = new BufferPool();
    for (const buffer of Array.from({ length: 10 }, () => pool.acquire(MIB))) pool.release(buffer);
    expect(pool.retainedBytes).toBe(4 * MIB);
    for (const buffer of Array.from({ length: 10 }, () => pool.acquire(1024))) pool.release(buffer);
    expect(pool.retainedBytes).toBe(4 * MIB);
  });

  it('the buffer pool keeps no buffer of more than 1 MiB', () => {
    const pool = new BufferPool();
    pool.release(pool.acquire(MIB + 1));
    expect(pool.retainedBytes).toBe(0);
  });
});
