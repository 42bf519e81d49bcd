import { describe, expect, it } from 'vitest';
import { isBelowWarn, SEVERITY_RANGES, SeverityCounts } from '../src/severity.ts';

/** What a record may have as its severity number. */
const UNUSUAL = [undefined, null, '17', 17n, Number.NaN, Number.POSITIVE_INFINITY, -1, 0, 25, {}];

describe('severities', () => {
  it('a severity is below WARN if its number is below 13 or no number', () => {
    for (const number of [1, 8, 9, 12, 12.5, 0, -1, Number.NaN, undefined, null, '17', 17n, {}])
      expect({ number, isBelow: isBelowWarn(number) }).toEqual({ number, isBelow: true });
    for (const number of [13, 16, 17, 24, 25])
      expect({ number, isBelow: isBelowWarn(number) }).toEqual({ number, isBelow: false });
  });

  it('each range has four severity numbers', () => {
    for (let number = 1; number <= 24; number++) {
      const counts = new SeverityCounts();
      counts.add(number);
      expect(`${counts}`).toBe(`${SEVERITY_RANGES[1 + Math.floor((number - 1) / 4)]} 1`);
    }
  });

  it('what is no severity number counts as unset', () => {
    const counts = new SeverityCounts();
    for (const value of UNUSUAL) counts.add(value);
    expect(`${counts}`).toBe(`unset ${UNUSUAL.length}`);
  });

  it('a fractional number counts in the range that isBelowWarn() compares with', () => {
    const counts = new SeverityCounts();
    counts.add(12.5);
    expect(`${counts}`).toBe('INFO 1');
  });

  it('counts are added up, and the most severe range is named first', () => {
    const [a, b] = [new SeverityCounts(), new SeverityCounts()];
    for (const number of [9, 9, 17]) a.add(number);
    for (const number of [undefined, 9, 21]) b.add(number);
    a.addAll(b);
    expect([`${a}`, a.total]).toEqual(['FATAL 1, ERROR 1, INFO 3, unset 1', 6]);
    expect([`${b}`, b.total]).toEqual(['FATAL 1, INFO 1, unset 1', 3]);
    expect(`${new SeverityCounts()}`).toBe('');
  });
});
