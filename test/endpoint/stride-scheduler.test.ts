import { describe, expect, it } from 'vitest';
import { StrideScheduler } from '../../src/endpoint/stride-scheduler.ts';

interface User {
  readonly name: string;
  readonly weight: number;
  pass: number;
}

/** Uses the user with the lowest pass, of several the first in the list. */
function useNext(scheduler: StrideScheduler, users: readonly User[]): string {
  const next = users.reduce((least, user) => (user.pass < least.pass ? user : least));
  next.pass = scheduler.use(next.pass, next.weight);
  return next.name;
}

function useTimes(scheduler: StrideScheduler, users: readonly User[], times: number): string {
  return Array.from({ length: times }, () => useNext(scheduler, users)).join('');
}

describe('the stride scheduler', () => {
  it('users of equal weight are used in turn', () => {
    const scheduler = new StrideScheduler();
    const users = ['a', 'b', 'c'].map((name) => ({ name, weight: 1, pass: scheduler.join(0, 1) }));
    expect(useTimes(scheduler, users, 7)).toBe('abcabca');
  });

  it('a user with four times the weight is used four times as often, and its turns are spread', () => {
    const scheduler = new StrideScheduler();
    const users = [
      { name: 'a', weight: 4, pass: scheduler.join(0, 4) },
      { name: 'b', weight: 1, pass: scheduler.join(0, 1) },
    ];
    expect(useTimes(scheduler, users, 10)).toBe('abaaaabaaa');
  });

  it('a new user waits for the given part of its stride', () => {
    const scheduler = new StrideScheduler();
    expect([scheduler.join(0, 2), scheduler.join(0.5, 2), scheduler.join(1, 2)]).toEqual([0, 0.25, 0.5]);
    scheduler.use(8, 1);
    expect(scheduler.join(0.5, 2)).toBe(8.25);
  });

  it('a user that joins late gets no turns for the time before', () => {
    const scheduler = new StrideScheduler();
    const users = [{ name: 'a', weight: 1, pass: scheduler.join(0, 1) }];
    expect(useTimes(scheduler, users, 100)).toBe('a'.repeat(100));
    users.push({ name: 'b', weight: 1, pass: scheduler.join(0, 1) });
    expect(useTimes(scheduler, users, 6)).toBe('bababa');
  });

  it('a user that could not be used for a while gets one turn at once, and then its share', () => {
    const scheduler = new StrideScheduler();
    const [a, b] = ['a', 'b'].map((name) => ({ name, weight: 1, pass: scheduler.join(0, 1) })) as [User, User];
    expect(useTimes(scheduler, [a, b], 2)).toBe('ab');
    expect(useTimes(scheduler, [a], 50)).toBe('a'.repeat(50));
    expect(useTimes(scheduler, [a, b], 6)).toBe('bababa');
  });
});
