import { describe, expect, it } from 'vitest';
import { KeyCache } from '../../src/encode/key-cache.ts';

const BYTES = Buffer.from('\xa1a', 'latin1');
/** More than a key must be used before it is kept. */
const OFTEN = 1_000;

/** Uses each key as the encoder does; returns how many were found. */
function use(cache: KeyCache, keys: readonly string[], bytes = BYTES): number {
  let found = 0;
  for (const key of keys) {
    if (cache.get(key) !== undefined) found++;
    else cache.missed(key, bytes, 0, bytes.length);
  }
  return found;
}

function keysOfData(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `order ${i}`);
}

describe('the cache of keys', () => {
  it('the key cache keeps a copy of the bytes, as their buffer is used again', () => {
    const cache = new KeyCache();
    const bytes = Buffer.from(BYTES);
    for (let i = 0; i < OFTEN; i++) use(cache, ['a'], bytes);
    bytes.fill(0);
    expect(cache.get('a')).toEqual(Uint8Array.from(BYTES));
    expect(cache.get('b')).toBeUndefined();
  });

  it('the key cache keeps at most 1024 keys, and none longer than 64 characters', () => {
    const cache = new KeyCache();
    const kept = () => keys.filter((key) => cache.get(key) !== undefined).length;
    const keys = keysOfData(3_000);
    const sizes: number[] = [];
    for (const key of keys) {
      for (let i = 0; i < OFTEN && use(cache, [key]) === 0; i++);
      if (cache.get(key) !== undefined) sizes.push(kept());
    }
    expect(sizes).toHaveLength(keys.length);
    expect(Math.max(...sizes)).toBe(1_024);
    const long = 'x'.repeat(65);
    for (let i = 0; i < OFTEN; i++) expect(use(cache, [long])).toBe(0);
  });

  it('the key cache finds the keys in use again after 10,000 keys that were made of data', () => {
    const cache = new KeyCache();
    const inUse = ['method', 'route', 'status'];
    for (const key of keysOfData(10_000)) for (let i = 0; i < OFTEN && use(cache, [key]) === 0; i++);
    for (let i = 0; i < OFTEN; i++) use(cache, inUse);
    expect(use(cache, inUse)).toBe(inUse.length);
  });

  it.each([1, 29, 60, 61, 125])(
    'the key cache finds nearly all keys in use while %i others are made of data',
    (others) => {
      const cache = new KeyCache();
      const inUse = ['method', 'route', 'status'];
      const keys = keysOfData(20_000 * others);
      let found = 0;
      for (let record = 0; record < 20_000; record++) {
        found += use(cache, [...inUse, ...keys.slice(record * others, (record + 1) * others)]);
      }
      expect(found / (inUse.length * 20_000)).toBeGreaterThan(0.8);
    },
  );
});
