import { readFileSync } from 'node:fs';
import { afterEach, expect, test } from 'vitest';
import { ForwardReceiver, type ForwardReceiverOptions } from '../../src/testing/index.ts';
import { until } from '../support/fake-clock.ts';
import { LONG_LIMIT_VARIABLES } from '../support/long-limits.ts';
import { runProgram } from '../support/run-program.ts';
import { runCli, startCli, VARIABLE_PREFIX } from './run-cli.ts';

const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
const receivers: ForwardReceiver[] = [];

afterEach(async () => {
  for (const receiver of receivers.splice(0)) await receiver.close();
});

/** The arguments and the output of the example after a `<!-- name -->` comment. */
function exampleOf(name: string): { args: string[]; output: string } {
  const match = new RegExp(`<!-- ${name} -->\\n\`\`\`console\\n\\$ npx fluent-forward (.*)\\n([\\s\\S]*?)\`\`\``).exec(
    readme,
  );
  if (match?.[1] === undefined) throw new Error(`README.md has no example ${name}`);
  return { args: match[1].split(' '), output: match[2] as string };
}

/** Replaces what differs from run to run: times, ports, marks of runs, and what this version of Node.js has. */
function masked(output: string): string {
  return output
    .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, '<time>')
    .replaceAll(/ +\d+ ms/g, ' <millis>')
    .replaceAll(/(fluent_forward\.doctor: )[\da-f]{8}/g, '$1<run>')
    .replaceAll(/127\.0\.0\.1:\d+/g, '127.0.0.1:<port>')
    .replaceAll(/acknowledged 9\d{5} bytes/g, 'acknowledged <bytes> bytes')
    .replaceAll(/(ℹ zstd +).*/g, '$1<node>');
}

async function listen(options?: ForwardReceiverOptions): Promise<ForwardReceiver> {
  const receiver = await ForwardReceiver.listen(options);
  receivers.push(receiver);
  return receiver;
}

test.each<[name: string, run: { code: number; start: () => Promise<{ port: number }>; key?: string }]>([
  ['works', { code: 0, start: () => listen() }],
  // Nothing listens at this port.
  ['refused', { code: 1, start: async () => ({ port: 1 }) }],
  ['key', { code: 1, start: () => listen({ security: { sharedKey: 'swordfish' } }), key: 'sesame' }],
])('README.md shows the output of doctor: %s', async (name, { code, start, key }) => {
  const { args, output } = exampleOf(`doctor: ${name}`);
  const { port } = await start();
  const env: Record<string, string> = key === undefined ? {} : { [`${VARIABLE_PREFIX}SHARED_KEY`]: key };
  const finished = await runCli(
    args.map((arg) => arg.replace('24224', String(port))),
    { env },
  );
  expect(masked(finished.stdout)).toBe(masked(output));
  expect(finished).toMatchObject({ code, stderr: '' });
});

test('README.md shows the output of sink for the quickstart', async () => {
  const { args, output } = exampleOf('sink');
  const { child, finished, wrote } = startCli([...args, '--port', '0']);
  let stderr = '';
  child.stderr?.on('data', (text) => {
    stderr += text;
  });
  const endpoint = () => /listening on (\S+)\n/.exec(stderr)?.[1];
  await until(() => endpoint() !== undefined);
  const env = { ...LONG_LIMIT_VARIABLES, [`${VARIABLE_PREFIX}ENDPOINT`]: endpoint() as string };
  await runProgram('examples/quickstart/quickstart.mjs', { env });
  await wrote('hello, Fluent');
  child.kill('SIGINT');
  const { stdout, stderr: notices } = await finished;
  const [listening, ...end] = notices.split('\n');
  expect(masked(`${listening}\n${stdout}${end.join('\n')}`)).toBe(masked(output));
});
