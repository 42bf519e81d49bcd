import { describe, expect, it } from 'vitest';
import type { LayoutName } from '../../src/encode/layout/create.ts';
import { RecordUids } from '../../src/encode/record-uid.ts';
import { batchEncoder, decodeChunk, NOW, record } from '../support/records.ts';

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
  ] as const)('makes ULIDs of the time %j in milliseconds', (time, millis) => {
    const uid = new RecordUids().next(time);
    expect(uid).toMatch(/^[0-7][0-9A-HJKMNP-TV-Z]{25}$/);
    expect(parse(uid).millis).toBe(millis);
  });

  it('counts up by one with each, whatever the times', () => {
    const uids = new RecordUids();
    const counts = Array.from({ length: 5_000 }, (_, i) => parse(uids.next([5 + (i % 3), i])).count);
    counts.forEach((count, i) => {
      expect(count).toBe((counts[0] as bigint) + BigInt(i));
    });
  });

  it('makes ids that sort by time, then in the order of their making', () => {
    const uids = new RecordUids();
    const times = [9, 7, 7, 8, 7, 9, 8].map((second) => [second, 0] as const);
    const made = times.map((time, i) => ({ uid: uids.next(time), second: time[0], i }));
    const byUid = [...made].sort((a, b) => (a.uid < b.uid ? -1 : 1));
    expect(byUid).toEqual([...made].sort((a, b) => a.second - b.second || a.i - b.i));
  });

  it('begins anywhere in the lower half of 80 bits', () => {
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
  /** The ids of the records of a batch, wherever the layout puts them. */
  function uidsOf(layout: LayoutName, ...fields: Parameters<typeof record>[0][]): unknown[] {
    const { chunks } = batchEncoder({ layout, recordUid: true }).encode(
      fields.map((fields) => record(fields)),
      NOW,
    );
    const entries = chunks.flatMap((chunk) => decodeChunk(chunk).entries);
    const records = entries.filter(({ metadata, record }) => metadata === undefined || 'log' in record);
    return records.map(({ metadata, record }) => {
      const otlp = metadata?.otlp as Record<string, unknown> | undefined;
      const attributes = (layout === 'flat' ? record : (otlp ?? record).attributes) as Record<string, unknown>;
      return attributes['log.record.uid'];
    });
  }

  it.each<LayoutName>(['default', 'flat', 'otlp'])(
    'gives each record an id of its time, in the layout %s',
    (layout) => {
      const attributes = [{ a: 1 }, {}, undefined, null, { 'log.record.uid': undefined }];
      const uids = uidsOf(layout, ...attributes.map((attributes) => ({ attributes }))) as string[];
      expect(uids.map((uid) => parse(uid).millis)).toEqual(new Array(5).fill(1_700_000_000_123n));
      expect(new Set(uids).size).toBe(5);
      expect(uids).toEqual([...uids].sort());
    },
  );

  it.each<LayoutName>(['default', 'flat', 'otlp'])('leaves a record the id that it has, in the layout %s', (layout) => {
    expect(uidsOf(layout, { attributes: { 'log.record.uid': 'mine' } })).toEqual(['mine']);
  });

  it('takes the entry’s time where the record has none', () => {
    const [observed, now] = uidsOf(
      'default',
      { hrTime: [0, 0], hrTimeObserved: [7, 0] },
      { hrTime: [0, 0] },
    ) as string[];
    expect(parse(observed as string).millis).toBe(7_000n);
    expect(parse(now as string).millis).toBe(1_600_000_000_987n);
  });

  it('is off unless wanted', () => {
    const { chunks } = batchEncoder().encode([record()], NOW);
    expect(decodeChunk(chunks[0] as (typeof chunks)[0]).entries[0]?.record).toEqual({});
  });
});
