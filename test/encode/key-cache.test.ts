import { describe, expect, it } from 'vitest';
import { KeyCache } from '../../src/encode/key-cache.ts';

const BYTES = Buffer.from('\xa1a', 'latin1');

describe('the cache of keys', () => {
  it('the key cache keeps a copy of the bytes, as their buffer is used again', () => {
    const cache = new KeyCache();
    const bytes = Buffer.from(BYTES);
    cache.add('a', bytes, 0, bytes.length);
    bytes.fill(0);
    expect(cache.get('a')).toEqual(Uint8Array.from(BYTES));
    expect(cache.get('b')).toBeUndefined();
  });

  it('the key cache keeps at most 1024 keys, and none longer than 64 characters', () => {
    const cache = new KeyCache();
    for (let i = 0; i < 2_000; i++) cache.add(`key ${i}`, BYTES, 0, BYTES.length);
    expect(cache.get('key 1023')).toBeDefined();
    expect(cache.get('key 1024')).toBeUndefined();
    const other = new KeyCache();
    other.add('x'.repeat(65), BYTES, 0, BYTES.length);
    expect(other.get('x'.repeat(65))).toBeUndefined();
  });
});
