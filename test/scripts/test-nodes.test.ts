import { expect, test } from 'vitest';
import { runProgram } from '../support/run-program.ts';

test('test-nodes rejects an unknown version and names the known ones', async () => {
  const { code, stdout, stderr } = await runProgram('scripts/test-nodes.mjs', { args: ['24', '19'] });
  expect(stderr).toBe('Unknown version 19. Known versions: 20.19.0, 22, 24, 26.\n');
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
});
