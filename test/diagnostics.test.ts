import { diag } from '@opentelemetry/api';
import { afterEach, describe, expect, it } from 'vitest';
import { Diagnostics } from '../src/diagnostics.ts';
import { FakeClock } from './support/fake-clock.ts';
import { type LogLine, recordDiag } from './support/harness.ts';

afterEach(() => diag.disable());

describe('a warning', () => {
  it('is told once a minute for each cause, then with the count of those left out', async () => {
    const log: LogLine[] = [];
    recordDiag(log);
    const clock = new FakeClock();
    const diagnostics = new Diagnostics(clock);
    const told = ['first', 'second', 'third'].map((text) => diagnostics.warn('cause', text));
    expect(told).toEqual([true, false, false]);
    expect(diagnostics.warn('another cause', 'another')).toBe(true);
    await clock.advance(60_000);
    diagnostics.warn('cause', 'fourth');
    await clock.advance(60_000);
    diagnostics.warn('cause', 'fifth');
    expect(log.map(([, text]) => text.replace(/^\S+ /, ''))).toEqual([
      'first',
      'another',
      'fourth (and 2 like it since the last such message)',
      'fifth',
    ]);
  });
});
