import { describe, expect, it } from 'vitest';
import { Health } from '../../src/endpoint/health.ts';
import { FakeClock } from '../support/fake-clock.ts';

describe('the health of an address', () => {
  it('a failure ejects the address for a growing time, and then it is unproven until an ack', async () => {
    const clock = new FakeClock();
    const health = new Health(clock, () => 0);
    expect(health.state).toBe('healthy');
    for (const millis of [1_000, 2_000, 4_000]) {
      await clock.advance(1);
      expect(health.failed(clock.now())).toBe(true);
      expect([health.state, health.ejectedForMillis]).toEqual(['ejected', millis]);
      await clock.advance(millis);
      expect([health.state, health.ejectedForMillis]).toEqual(['unproven', 0]);
    }
    health.succeeded();
    expect([health.state, health.failures]).toEqual(['healthy', 0]);
  });

  it('connections that were dialled before the last failure fail with it, and count once', async () => {
    const clock = new FakeClock();
    const health = new Health(clock, () => 0);
    const dialledAt = clock.now();
    await clock.advance(10);
    expect(health.failed(dialledAt)).toBe(true);
    await clock.advance(10);
    expect(health.failed(dialledAt)).toBe(false);
    expect([health.failures, health.ejectedForMillis]).toEqual([1, 990]);
    expect(health.failed(clock.now())).toBe(true);
  });

  it('an ejection lasts a minute at most, and a random part of up to a half is taken off', async () => {
    for (const [random, millis] of [
      [0, 60_000],
      [1, 30_000],
    ] as const) {
      const clock = new FakeClock();
      const health = new Health(clock, () => random);
      for (let failures = 0; failures < 10; failures++) {
        await clock.advance(1);
        health.failed(clock.now());
      }
      expect([health.failures, health.ejectedForMillis]).toEqual([10, millis]);
    }
  });

  it('an ack ends an ejection at once, and the next ejection is short again', async () => {
    const clock = new FakeClock();
    const health = new Health(clock, () => 0);
    await clock.advance(5);
    health.failed(clock.now());
    await clock.advance(5);
    health.failed(clock.now());
    health.succeeded();
    expect([health.state, health.ejectedForMillis]).toEqual(['healthy', 0]);
    await clock.advance(5);
    expect(health.failed(clock.now())).toBe(true);
    expect([health.ejectedForMillis, health.failedAt]).toEqual([1_000, 15]);
  });

  it('a failure after an ack counts, even on a connection that was dialled before the last failure', async () => {
    const clock = new FakeClock();
    const health = new Health(clock, () => 0);
    const dialledAt = clock.now();
    await clock.advance(10);
    health.failed(clock.now());
    health.succeeded();
    expect(health.failed(dialledAt)).toBe(true);
    expect([health.state, health.failures]).toEqual(['ejected', 1]);
  });
});
