import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { beforeAll, expect, it } from 'vitest';

const run = promisify(execFile);
const pathOf = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** Rejects with what promtool prints if a rule is wrong. */
async function promtool(...args: string[]): Promise<string> {
  const { stdout } = await run('promtool', args);
  return stdout;
}

beforeAll(async () => {
  await promtool('--version').catch((cause: unknown) => {
    throw new Error("these tests need promtool, which Debian's package prometheus has", { cause });
  });
});

it('promtool accepts the alert rules', async () => {
  const output = await promtool('check', 'rules', pathOf('../../../examples/grafana/alerts.yaml'));
  expect(output).toMatch(/SUCCESS: \d+ rules/);
});

it('each alert fires when it should, and not otherwise', async () => {
  expect(await promtool('test', 'rules', pathOf('./alerts.promtool.yaml'))).toContain('SUCCESS');
});
