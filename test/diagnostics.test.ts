import { type DiagLogger, diag } from '@opentelemetry/api';
import { afterEach, describe, expect, it } from 'vitest';
import { Diagnostics } from '../src/diagnostics.ts';
import { FakeClock } from './support/fake-clock.ts';
import { type LogLine, recordDiag } from './support/harness.ts';
import { unhandledRejections } from './support/unhandled-rejections.ts';

afterEach(() => diag.disable());

describe('a logger of diag that fails', () => {
  const set = (warn: () => unknown) => {
    const logger = { error: () => {}, info: () => {}, debug: () => {}, verbose: () => {} };
    diag.setLogger({ ...logger, warn } as DiagLogger, { suppressOverrideMessage: true });
  };

  it('Diagnostics goes on if the logger throws', () => {
    set(() => {
      throw new Error('the disk is full');
    });
    expect(new Diagnostics(new FakeClock()).warn('cause', 'text')).toBe(true);
  });

  it('Diagnostics handles the rejection of a logger that is async', async () => {
    const rejections = unhandledRejections();
    set(async () => Promise.reject(new Error('the disk is full')));
    expect(new Diagnostics(new FakeClock()).warn('cause', 'text')).toBe(true);
    expect(await rejections()).toEqual([]);
  });
});

describe('a warning', () => {
  it('Diagnostics makes the message of a warning only if it logs the warning', () => {
    recordDiag([]);
    const diagnostics = new Diagnostics(new FakeClock());
    let made = 0;
    for (let i = 0; i < 3; i++) diagnostics.warn('cause', () => `message ${++made}`);
    expect(made).toBe(1);
  });

  it('Diagnostics logs a warning once a minute per cause with the count of suppressed ones', async () => {
    const log: LogLine[] = [];
    recordDiag(log);
    const clock = new FakeClock();
    const diagnostics = new Diagnostics(clock);
    const isLogged = ['first', 'second', 'third'].map((text) => diagnostics.warn('cause', text));
    expect(isLogged).toEqual([true, false, false]);
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
