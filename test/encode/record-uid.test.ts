import { describe, expect, it } from 'vitest';
import { RecordUids } from '../../src/encode/record-uid.ts';
import { assertReadable, assertReadableAsOtlp } from '../support/readable.ts';
import { batchEncoder, decodeChunk, type EncoderOptions, NOW, record } from '../support/records.ts';

type EncoderLayout = EncoderOptions['layout'] & {};

const DIGITS = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';

/** Reads an id without the arithmetic that wrote it. */
function parse(uid: string): { millis: bigint; count: bigint } {
  const value = [...uid].reduce((sum, digit) => sum * 32n + BigInt(DIGITS.indexOf(digit)), 0n);
  return { millis: value >> 80n, count: value & (2n ** 80n - 1n) };
}

describe('RecordUids', () => {
  it.each([
    [[1, 0], 1_000n],
    [[1_700_000_000, 123_999_999], 1_700_000_000_123n],
    [[0xfffffffd, 999_999_999], 4_294_967_293_999n],
  ] as const)('a record id is a ULID of the time of its record in milliseconds: %j', (time, millis) => {
    const uid = new RecordUids().next(time);
    expect(uid).toMatch(/^[0-7][0-9A-HJKMNP-TV-Z]{25}$/);
    expect(parse(uid).millis).toBe(millis);
  });

  it('record ids count up by one, whatever the times of the records', () => {
    const uids = new RecordUids();
    const counts = Array.from({ length: 5_000 }, (_, i) => parse(uids.next([5 + (i % 3), i])).count);
    counts.forEach((count, i) => {
      expect(count).toBe((counts[0] as bigint) + BigInt(i));
    });
  });

  it('record ids sort by time, then in the order in which they were made', () => {
    const uids = new RecordUids();
    const times = [9, 7, 7, 8, 7, 9, 8].map((second) => [second, 0] as const);
    const made = times.map((time, i) => ({ uid: uids.next(time), second: time[0], i }));
    const byUid = [...made].sort((a, b) => (a.uid < b.uid ? -1 : 1));
    expect(byUid).toEqual([...made].sort((a, b) => a.second - b.second || a.i - b.i));
  });

  it('record ids start from a random number in the lower half of 80 bits', () => {
    const counts = Array.from({ length: 200 }, () => parse(new RecordUids().next([1, 0])).count);
    expect(new Set(counts).size).toBe(200);
    for (const count of counts) expect(count < 2n ** 79n + 1n).toBe(true);
    // Each of the 79 bits is now 0, now 1.
    for (let bit = 0n; bit < 79n; bit++) {
      expect(new Set(counts.map((count) => (count >> bit) & 1n)).size).toBe(2);
    }
  });
});

describe('recordUid', () => {
  const LAYOUTS: readonly [name: string, layout: EncoderLayout][] = [
    ['default', 'default'],
    ['flat', 'flat'],
    ['otlp', 'otlp'],
    ['a function', (_, entry) => entry],
  ];

  /** The ids of the records of a batch. */
  function uidsOf(layout: EncoderLayout, ...fields: Parameters<typeof record>[0][]): unknown[] {
    return attributesOf(layout, ...fields).map((attributes) => attributes['log.record.uid']);
  }

  /** The attributes of the records of a batch, wherever the layout puts them; no key is there twice. */
  function attributesOf(layout: EncoderLayout, ...fields: Parameters<typeof record>[0][]): Record<string, unknown>[] {
    const { chunks } = batchEncoder({ layout, recordUid: true }).encode(
      fields.map((fields) => record(fields)),
      NOW,
    );
    const entries = chunks.flatMap((chunk) => {
      const { entries, payload } = decodeChunk(chunk);
      expect((layout === 'otlp' ? assertReadableAsOtlp : assertReadable)(payload)).toBe(entries.length);
      return entries;
    });
    const records = entries.filter(({ metadata, record }) => metadata === undefined || 'log' in record);
    return records.map(({ metadata, record }) => {
      const otlp = metadata?.otlp as Record<string, unknown> | undefined;
      return (layout === 'flat' ? record : (otlp ?? record).attributes) as Record<string, unknown>;
    });
  }

  it.each(LAYOUTS)('recordUid gives each record an id of its time in the layout: %s', (_, layout) => {
    const attributes = [{ a: 1 }, {}, undefined, null, { 'log.record.uid': undefined }];
    const uids = uidsOf(layout, ...attributes.map((attributes) => ({ attributes }))) as string[];
    expect(uids.map((uid) => parse(uid).millis)).toEqual(new Array(5).fill(1_700_000_000_123n));
    expect(new Set(uids).size).toBe(5);
    expect(uids).toEqual([...uids].sort());
  });

  it.each(LAYOUTS)('recordUid keeps the id that a record already has in the layout: %s', (_, layout) => {
    for (const own of ['mine', 42]) {
      expect(uidsOf(layout, { attributes: { 'log.record.uid': own, a: 1 } })).toEqual([own]);
    }
  });

  it.each(LAYOUTS)('recordUid replaces an own id that is empty or no text or number in the layout: %s', (_, layout) => {
    const others = Object.fromEntries(JSON.parse('[["__proto__",1],["a",2]]'));
    for (const own of [null, '', {}, [], Number.NaN, true, new Date(0)]) {
      const attributes = { 'log.record.uid': own, ...others };
      expect(uidsOf(layout, { attributes })).toEqual([expect.stringMatching(/^\w{26}$/)]);
      const [written] = attributesOf(layout, { attributes });
      expect(written).toMatchObject({ ['__proto__']: 1, a: 2 });
      expect(attributes['log.record.uid']).toBe(own);
    }
  });

  it.each(LAYOUTS)('recordUid gives an id also to a record with too many attributes in the layout: %s', (_, layout) => {
    const many = Object.fromEntries(Array.from({ length: 65_536 }, (_, i) => [`a${i}`, i]));
    const own = { 'log.record.uid': 'mine' };
    expect(uidsOf(layout, { attributes: { ...own, ...many } })).toEqual(['mine']);
    // Where the own id is not written, it is of no use, unless a function has moved it.
    const expected = typeof layout === 'function' ? 'mine' : expect.stringMatching(/^[0-9A-Z]{26}$/);
    expect(uidsOf(layout, { attributes: { ...many, ...own } })).toEqual([expected]);
    expect(uidsOf(layout, { attributes: many })).toEqual([expect.stringMatching(/^[0-9A-Z]{26}$/)]);
  });

  it('recordUid reads each of the attributes that are written of too many once more at most', () => {
    const target = {
      'log.record.uid': 'mine',
      ...Object.fromEntries(Array.from({ length: 100_000 }, (_, i) => [`a${i}`, i])),
    };
    const reads = new Map<string, number>();
    const attributes = new Proxy(target, {
      get: (target, key: string) => {
        reads.set(key, (reads.get(key) ?? 0) + 1);
        return Reflect.get(target, key);
      },
    });
    expect(uidsOf('flat', { attributes })).toEqual(['mine']);
    reads.delete('log.record.uid');
    expect(reads.size).toBe(65_535);
    expect(Math.max(...reads.values())).toBeLessThanOrEqual(2);
  });

  it('recordUid uses the time of the entry when the record has none', () => {
    const [observed, now] = uidsOf(
      'default',
      { hrTime: [0, 0], hrTimeObserved: [7, 0] },
      { hrTime: [0, 0] },
    ) as string[];
    expect(parse(observed as string).millis).toBe(7_000n);
    expect(parse(now as string).millis).toBe(1_600_000_000_987n);
  });

  it('the encoder writes no record id if recordUid is not set', () => {
    const { chunks } = batchEncoder().encode([record()], NOW);
    expect(decodeChunk(chunks[0] as (typeof chunks)[0]).entries[0]?.record).toEqual({});
  });
});
