import { describe, expect, it } from 'vitest';
import { Backoff } from '../../src/connection/backoff.ts';
import { FakeClock } from '../support/fake-clock.ts';

function backoff() {
  const clock = new FakeClock();
  const ends: number[] = [];
  return { clock, ends, backoff: new Backoff({ clock, random: () => 0, onEnd: () => ends.push(clock.now()) }) };
}

describe('the backoff', () => {
  it('each wait is twice as long as the one before, and 5 s at most', async () => {
    const { clock, backoff: wait } = backoff();
    const millis: number[] = [];
    for (let failures = 0; failures < 8; failures++) {
      wait.fail();
      millis.push(wait.remainingMillis);
      await clock.advance(wait.remainingMillis);
      expect(wait.isRunning).toBe(false);
    }
    expect(millis).toEqual([100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
  });

  it('failures during a wait do not extend it', async () => {
    const { clock, backoff: wait } = backoff();
    wait.fail();
    await clock.advance(60);
    wait.fail();
    expect(wait.remainingMillis).toBe(40);
  });

  it('the end of a wait is reported once, and only if somebody asked for it', async () => {
    const { clock, ends, backoff: wait } = backoff();
    wait.fail();
    await clock.advance(100);
    expect(ends).toEqual([]);
    wait.fail();
    wait.wakeAtEnd();
    wait.wakeAtEnd();
    await clock.advance(1_000);
    expect(ends).toHaveLength(1);
  });

  it('a wait that is ended reports nothing, and the next one is longer', async () => {
    const { clock, ends, backoff: wait } = backoff();
    wait.fail();
    wait.wakeAtEnd();
    wait.end();
    expect(wait.isRunning).toBe(false);
    await clock.advance(1_000);
    expect(ends).toEqual([]);
    wait.fail();
    expect(wait.remainingMillis).toBe(200);
  });

  it('after a success the next wait is short again', () => {
    const { backoff: wait } = backoff();
    wait.fail();
    wait.end();
    wait.fail();
    wait.reset();
    expect(wait.isRunning).toBe(false);
    wait.fail();
    expect(wait.remainingMillis).toBe(100);
  });

  it('a random part of up to a half is taken off a wait', () => {
    const wait = new Backoff({ clock: new FakeClock(), random: () => 1, onEnd: () => {} });
    wait.fail();
    expect(wait.remainingMillis).toBe(50);
  });

  it('there is no wait before the first failure, and what remains of a wait is rounded up', async () => {
    const { clock, backoff: wait } = backoff();
    expect(wait.isRunning).toBe(false);
    expect(wait.remainingMillis).toBeLessThanOrEqual(0);
    wait.fail();
    await clock.advance(99.5);
    expect([wait.isRunning, wait.remainingMillis]).toEqual([true, 1]);
    await clock.advance(0.5);
    expect([wait.isRunning, wait.remainingMillis]).toEqual([false, 0]);
  });

  it('the end of each wait can be asked for, and is reported when the wait is over', async () => {
    const { clock, ends, backoff: wait } = backoff();
    for (let failures = 0; failures < 2; failures++) {
      wait.fail();
      await clock.advance(10);
      wait.wakeAtEnd();
      await clock.advance(1_000);
    }
    expect(ends).toEqual([100, 1_210]);
  });

  it('the end is reported in a later turn if there is no wait', async () => {
    const { clock, ends, backoff: wait } = backoff();
    wait.wakeAtEnd();
    expect(ends).toEqual([]);
    await clock.advance(0);
    expect(ends).toEqual([0]);
  });

  it('no timer runs after the end of a wait', () => {
    const { clock, backoff: wait } = backoff();
    for (const end of ['end', 'reset'] as const) {
      wait.fail();
      wait.wakeAtEnd();
      expect(clock.timers).toBe(1);
      wait[end]();
      expect(clock.timers).toBe(0);
    }
  });
});
