import { onTestFinished } from 'vitest';
import { settle } from './fake-clock.ts';

/** Collects the promises of the current test that reject without a handler. The function returns their reasons. */
export function unhandledRejections(): () => Promise<unknown[]> {
  const reasons: unknown[] = [];
  const collect = (reason: unknown) => {
    reasons.push(reason);
  };
  process.on('unhandledRejection', collect);
  onTestFinished(() => {
    process.off('unhandledRejection', collect);
  });
  return async () => {
    await settle();
    return reasons;
  };
}
