import { expect, test } from 'vitest';
import { judge } from '../../bench/guard/judge.mjs';

const EXPECTED = { copies: { was: 1, most: 2 }, speed: { was: 5, least: 3 } };

test.each([
  { measured: { copies: 2, speed: 3 }, faults: [] },
  { measured: { copies: 0, speed: 100 }, faults: [] },
  { measured: { copies: 2.017, speed: 3 }, faults: ['copies: from 1 to 2.02, allowed at most 2'] },
  { measured: { copies: 2, speed: 2.9 }, faults: ['speed: from 5 to 2.9, allowed at least 3'] },
  { measured: { copies: Number.NaN, speed: 3 }, faults: ['copies: from 1 to NaN, allowed at most 2'] },
])('judge reports which figures are worse than allowed: $measured', ({ measured, faults }) => {
  expect(judge(measured, EXPECTED).flatMap(({ fault }) => fault ?? [])).toEqual(faults);
});

test('judge throws if a figure is missing on either side', () => {
  expect(() => judge({ copies: 1 }, EXPECTED)).toThrow('not measured: speed');
  expect(() => judge({ copies: 1, speed: 5, turns: 1 }, EXPECTED)).toThrow('not expected: turns');
});
