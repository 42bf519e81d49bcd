import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { nodeOf, root, run } from '../package/toolbox.ts';

test('zstd on a Node.js that has it, but for chunks that Fluent Bit would lose', { timeout: 120_000 }, async () => {
  const program = fileURLToPath(new URL('zstd.mjs', import.meta.url));
  const { code, stdout, output } = await run(await nodeOf(24), [program], root);
  expect(code, output).toBe(0);
  const { results, messages } = JSON.parse(stdout);
  expect(results).toEqual([0, 0, 0]);
  const chunk = expect.any(String);
  expect(messages).toEqual([
    { mode: 'packed', option: { size: 1, chunk }, bytes: expect.any(Number), textBytes: 1 },
    {
      mode: 'compressed',
      option: { size: 1, chunk, compressed: 'zstd' },
      bytes: expect.any(Number),
      textBytes: 999_000,
    },
    // The ack of the one before was lost.
    messages[1],
    { mode: 'packed', option: { size: 1, chunk }, bytes: expect.any(Number), textBytes: 1_001_000 },
  ]);
  expect(messages[1].bytes).toBeLessThan(2_000);
  expect(messages[3].bytes).toBeGreaterThan(1_001_000);
});
