// Loaded before each test file. Node.js prints no process warnings during the tests; an unexpected one fails the
// test in which it was raised.
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, expect, onTestFinished } from 'vitest';

/** Many tests lose records on purpose. What these warnings say has tests of its own. */
const LOSSES: readonly unknown[] = ['FLUENT_FORWARD_EXPORT_FAILED', 'FLUENT_FORWARD_RECORDS_DROPPED'];

const unexpected: string[] = [];
const expected = new Set<RegExp>();

process.on('warning', (warning) => {
  const text = String(warning);
  if (LOSSES.includes((warning as NodeJS.ErrnoException).code) || [...expected].some((pattern) => pattern.test(text)))
    return;
  unexpected.push(text);
});

// Node.js emits a warning in the turn after it was raised.
afterEach(async () => {
  await turn();
  expect(unexpected.splice(0), 'process warnings').toEqual([]);
});

/** Declares that the current test makes Node.js warn. */
export function expectProcessWarning(pattern: RegExp): void {
  expected.add(pattern);
  onTestFinished(() => {
    expected.delete(pattern);
  });
}
