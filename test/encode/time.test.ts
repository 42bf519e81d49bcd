import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { WallTime } from '../../src/clock.ts';
import { batchEncoder, decodeChunk, NOW, record, roundTrip } from '../support/records.ts';
import { RUNS } from '../support/runs.ts';

const OBSERVED = [1_650_000_000, 5];

function entryTime(hrTime: unknown, hrTimeObserved: unknown): WallTime {
  return roundTrip(record({ hrTime, hrTimeObserved })).time;
}

function observedTimestamp(hrTimeObserved: unknown): unknown {
  return roundTrip(record({ hrTimeObserved })).record.observed_timestamp;
}

describe('the time of an entry', () => {
  it.each([
    ['a valid time', [1_700_000_000, 123_456_789], [1_700_000_000, 123_456_789]],
    ['at the first second', [1, 0], [1, 0]],
    ['at the last second', [0xfffffffd, 999_999_999], [0xfffffffd, 999_999_999]],
    ['with a second in nanoseconds', [1, 1_000_000_000], [2, 0]],
    ['with two seconds in nanoseconds', [1, 2e9], [3, 0]],
    ['all in nanoseconds', [0, 1_700_000_000_000_000_000], [1_700_000_000, 0]],
    ['with negative nanoseconds', [5, -1], [4, 999_999_999]],
    ['with many negative nanoseconds', [5, -2_000_000_001], [2, 999_999_999]],
    ['with -0 nanoseconds', [5, -0], [5, 0]],
    ['with half a second', [1.5, 0], [1, 500_000_000]],
    ['with a third of a nanosecond', [1, 0.3], [1, 0]],
    ['with seconds that cancel out', [-10, 11e9 + 7], [1, 7]],
    ['with more elements than two', [7, 8, 9], [7, 8]],
  ])('the time of an entry is the normalised time of the record: %s', (_, hrTime, expected) => {
    expect(entryTime(hrTime, OBSERVED)).toEqual(expected);
  });

  it.each([
    ['second 0, which Fluentd takes for now', [0, 0]],
    ['within second 0', [0, 999_999_999]],
    ['negative', [-1, 0]],
    ['normalised to second 0', [1, -1]],
    ['the end marker of a group', [0xfffffffe, 0]],
    ['the start marker of a group', [0xffffffff, 0]],
    ['normalised to a marker', [0xfffffffd, 1e9]],
    ['beyond 32 bits', [2 ** 32 + 1, 0]],
    ['far past', [-8.64e15, 0]],
    ['NaN seconds', [Number.NaN, 0]],
    ['NaN nanoseconds', [5, Number.NaN]],
    ['infinite seconds', [Number.POSITIVE_INFINITY, 0]],
    ['infinite nanoseconds', [5, Number.NEGATIVE_INFINITY]],
    ['a string', ['5', 0]],
    ['bigints', [5n, 0n]],
    ['no nanoseconds', [5]],
    ['empty', []],
    ['a Date', new Date()],
    ['null', null],
    ['undefined', undefined],
  ])('the time of an entry is the observed time, or now, when the time of the record is: %s', (_, hrTime) => {
    expect(entryTime(hrTime, OBSERVED)).toEqual(OBSERVED);
    expect(entryTime(hrTime, [2, 2e9])).toEqual([4, 0]);
    expect(entryTime(hrTime, hrTime)).toEqual(NOW);
  });

  it('the time of an entry is never second 0, even if the clock of the machine says so', () => {
    const [chunk] = batchEncoder().encode([record({ hrTime: [0, 0], hrTimeObserved: [0, 0] })], [0, 5]).chunks;
    expect(chunk && decodeChunk(chunk).entries[0]?.time).toEqual([1, 0]);
  });

  it('the time of an entry is exact to the nanosecond for every valid time', () => {
    const property = fc.property(
      fc.integer({ min: 1, max: 0xfffffffd }),
      fc.integer({ min: 0, max: 999_999_999 }),
      (seconds, nanoseconds) => {
        expect(entryTime([seconds, nanoseconds], OBSERVED)).toEqual([seconds, nanoseconds]);
      },
    );
    fc.assert(property, RUNS);
  });

  it('the time of an entry is exact for any integers that add up to a valid time', () => {
    const property = fc.property(
      fc.integer({ min: -1_000_000, max: 1_000_000 }),
      fc.integer({ min: -(10 ** 15), max: 10 ** 15 }),
      (seconds, nanoseconds) => {
        const total = BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds);
        const whole = total / 1_000_000_000n;
        const expected = whole >= 1n ? [Number(whole), Number(total % 1_000_000_000n)] : OBSERVED;
        expect(entryTime([seconds, nanoseconds], OBSERVED)).toEqual(expected);
      },
    );
    fc.assert(property, RUNS);
  });

  // Beyond 2^53 nanoseconds a quotient can be off by one, which once gave -2097152 nanoseconds.
  it('the time of an entry is right within 10 ms even if floating point has no digits left', () => {
    for (const hrTime of [
      [18_792_335_084_702, -1.8792198165529002e22],
      [-4_499_356_181_915, 4.5014403691759995e21],
      [4_518_238_611_239, -4.5182340550270003e21],
    ]) {
      const [seconds, nanoseconds] = entryTime(hrTime, OBSERVED);
      expect(Math.abs(seconds + nanoseconds / 1e9 - (Number(hrTime[0]) + Number(hrTime[1]) / 1e9))).toBeLessThan(0.01);
    }
  });

  it('the encoder reads the time of a record only once, even if getters change it', () => {
    let reads = 0;
    const restless = Object.defineProperty([5, 0], 1, { get: () => (reads++ === 0 ? 7 : 2e9) });
    expect(entryTime(restless, OBSERVED)).toEqual([5, 7]);
  });
});

describe('observed_timestamp', () => {
  it.each([
    [[1_700_000_000, 123_456_789], '2023-11-14T22:13:20.123456789Z'],
    [[1_700_000_000, 0], '2023-11-14T22:13:20.000000000Z'],
    [[0, 1], '1970-01-01T00:00:00.000000001Z'],
    [[1, 2e9], '1970-01-01T00:00:03.000000000Z'],
    [[951_782_400, 5], '2000-02-29T00:00:00.000000005Z'],
    [[253_402_300_799, 999_999_999], '9999-12-31T23:59:59.999999999Z'],
    // Unset, before 1970, beyond what RFC 3339 can write, no time.
    [[0, 0], undefined],
    [[-1, 999_999_999], undefined],
    [[253_402_300_800, 0], undefined],
    [[253_402_300_799, 1e9], undefined],
    [[Number.NaN, 0], undefined],
    ['2023-11-14', undefined],
    [undefined, undefined],
  ])(
    'observed_timestamp is written as RFC 3339, or left out when the time is invalid: %j as %s',
    (hrTimeObserved, expected) => {
      const { record: encoded } = roundTrip(record({ hrTimeObserved }));
      expect(encoded).toStrictEqual(expected === undefined ? {} : { observed_timestamp: expected });
    },
  );

  it('observed_timestamp is exact to the nanosecond for every valid time', () => {
    const times = fc.tuple(fc.integer({ min: 1, max: 253_402_300_799 }), fc.integer({ min: 0, max: 999_999_999 }));
    const property = fc.property(times, (time) => {
      const text = observedTimestamp(time) as string;
      expect(text).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/);
      expect(nanosecondsOf(text)).toBe(BigInt(time[0]) * 1_000_000_000n + BigInt(time[1]));
    });
    fc.assert(property, RUNS);
  });

  it('observed_timestamp is right from record to record, in the same second and in another', () => {
    const times: WallTime[] = [5, 5, 6, 5, 1_700_000_000, 1_700_000_000, 5].map((second, i) => [second, i]);
    const { chunks } = batchEncoder().encode(
      times.map((hrTimeObserved) => record({ hrTimeObserved })),
      NOW,
    );
    const texts = chunks.flatMap((chunk) => decodeChunk(chunk).entries.map((entry) => entry.record.observed_timestamp));
    expect(texts.map((text) => nanosecondsOf(text as string))).toEqual(
      times.map(([second, nanoseconds]) => BigInt(second) * 1_000_000_000n + BigInt(nanoseconds)),
    );
  });
});

/** Reads RFC 3339 without the arithmetic that wrote it. */
function nanosecondsOf(text: string): bigint {
  const [date = '', fraction = ''] = text.slice(0, -1).split('.');
  return BigInt(Date.parse(`${date}Z`)) * 1_000_000n + BigInt(fraction);
}
