import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { ForwardReceiver } from '../../src/testing/index.ts';
import { LONG_LIMIT_VARIABLES } from '../support/long-limits.ts';
import { runProgram } from '../support/run-program.ts';
import { bodiesOf, endpointOf } from './program.ts';

const require = createRequire(import.meta.url);

let receiver: ForwardReceiver;
let directory: string;

beforeEach(async () => {
  receiver = await ForwardReceiver.listen();
  directory = mkdtempSync(join(tmpdir(), 'runtimes-'));
  onTestFinished(async () => {
    rmSync(directory, { recursive: true });
    await receiver.close();
  });
});

/** Runs a process that logs a record and exits at once. */
function exit(nodeOptions: readonly string[], env: Record<string, string> = {}) {
  const variables = { ...LONG_LIMIT_VARIABLES, ...endpointOf(receiver), ENDING: 'exit', END_AFTER: '0' };
  return runProgram('test/exit/in-code.cjs', { env: { ...variables, ...env }, nodeOptions });
}

describe('preloads of the process', () => {
  /** A module that prints each time when it is loaded. */
  function preload(): string {
    const file = join(directory, 'preload.cjs');
    writeFileSync(file, "require('node:fs').writeSync(2, 'loaded;');");
    return file;
  }

  it('from the command line are not loaded again by the worker thread', async () => {
    expect(await exit(['--require', preload()])).toMatchObject({ code: 3, stderr: 'loaded;' });
    expect(bodiesOf(receiver).length).toBeGreaterThanOrEqual(5);
  });

  it('from NODE_OPTIONS are not loaded again by the worker thread', async () => {
    const NODE_OPTIONS = `--require ${preload()}`;
    expect(await exit([], { NODE_OPTIONS })).toMatchObject({ code: 3, stderr: 'loaded;' });
    expect(bodiesOf(receiver).length).toBeGreaterThanOrEqual(5);
  });
});

describe('register', () => {
  const REGISTER = '--require opentelemetry-exporter-fluent-forward/register';

  it.each([
    ['the command line', REGISTER.split(' '), {}],
    ['NODE_OPTIONS', [], { NODE_OPTIONS: REGISTER }],
  ])('from %s sends the last records, and is not set up again in the worker thread', async (_, nodeOptions, env) => {
    const variables = { ...LONG_LIMIT_VARIABLES, ...endpointOf(receiver), ENDING: 'exit', END_AFTER: '0' };
    const { code, stdout, stderr } = await runProgram('test/exit/through-api.cjs', {
      env: { ...variables, OTEL_LOG_LEVEL: 'info', ...env },
      nodeOptions,
    });
    expect({ code, stderr }).toEqual({ code: 3, stderr: '' });
    expect(stdout.match(/log records go to/g)).toHaveLength(1);
    expect(bodiesOf(receiver).length).toBeGreaterThanOrEqual(5);
  });
});

describe('a process with permissions', () => {
  const FLAG = process.allowedNodeEnvironmentFlags.has('--permission') ? '--permission' : '--experimental-permission';
  const NETWORK = process.allowedNodeEnvironmentFlags.has('--allow-net') ? ['--allow-net'] : [];
  const PERMISSIONS = ['--no-warnings', FLAG, '--allow-fs-read=*', ...NETWORK];

  /** Prints what `diag` gets. */
  function printWarnings(): string {
    const file = join(directory, 'diag.cjs');
    const api = JSON.stringify(require.resolve('@opentelemetry/api'));
    writeFileSync(
      file,
      `const { diag } = require(${api});
       const print = (...text) => require('node:fs').writeSync(2, text.join(' ') + '\\n');
       diag.setLogger({ error: print, warn: print, info() {}, debug() {}, verbose() {} });`,
    );
    return file;
  }

  it('sends its last records if it may start threads', async () => {
    expect(await exit([...PERMISSIONS, '--allow-worker'])).toMatchObject({ code: 3, stderr: '' });
    expect(bodiesOf(receiver).length).toBeGreaterThanOrEqual(5);
  });

  it('warns at once, and counts its last records at the end, if it must not start threads', async () => {
    const { code, stderr, stdout } = await exit([...PERMISSIONS, '--require', printWarnings()]);
    expect(code).toBe(3);
    const logged = Number(stdout.trim().split('\n').at(-1));
    const lost = Number(/: (\d+) log record\(s\) were lost/.exec(stderr)?.[1]);
    expect(lost + bodiesOf(receiver).length).toBeGreaterThanOrEqual(logged);
    expect(stderr).toContain(
      '(not sent, because no worker thread could be used: Access to this API has been restricted',
    );
    expect(stderr).toContain(
      ': what is not acknowledged at process.exit() or an uncaught error will be lost: under --permission, sending it needs --allow-worker',
    );
  });
});
