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
});
