// Loaded before each test file. Node.js prints no process warnings during the tests; an unexpected one fails the
// test in which it was raised.
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, expect, onTestFinished } from 'vitest';

/** Many tests lose records on purpose. What this warning says is tested in processes of its own. */
const FIRST_LOSS = 'FLUENT_FORWARD_EXPORT_FAILED';

const unexpected: string[] = [];
const expected = new Set<RegExp>();

process.on('warning', (warning) => {
  const text = String(warning);
  if ((warning as NodeJS.ErrnoException).code === FIRST_LOSS || [...expected].some((pattern) => pattern.test(text)))
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
