import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { LONG_LIMIT_VARIABLES } from '../support/long-limits.ts';
import { runProgram, startProgram, tableValue } from '../support/run-program.ts';

const SOAK = 'soak/soak.mjs';
const SECONDS = 4;
const RECORDS = SECONDS * 5_000;

/** A temporary directory for a program, to look at what it leaves there. */
function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'soak-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** Whether nobody listens on a port. */
function isRefused(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    // An accepted connection is reset when the receiver ends.
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code === 'ECONNREFUSED'));
    socket.once('connect', () => {
      socket.destroy();
      resolve(false);
    });
  });
}

test('the soak kills receivers, rotates connections, loses no record and leaves nothing behind', async () => {
  const TMPDIR = temporaryDirectory();
  const args = ['--embedded', '--seconds', String(SECONDS)];
  const { code, stdout, stderr } = await runProgram(SOAK, { args, env: { TMPDIR, ...LONG_LIMIT_VARIABLES } });
  const of = (label: string) => tableValue(stdout, label);
  for (const label of ['emitted', 'acknowledged', 'received']) expect([label, of(label)]).toEqual([label, RECORDS]);
  for (const label of ['dropped', 'lost', 'sockets left']) expect([label, of(label)]).toEqual([label, 0]);
  expect(of('kills')).toBeGreaterThan(0);
  expect(of('duplicated')).toBeLessThanOrEqual(of('resent'));
  // About two a second, and fewer on a busy machine.
  expect(of('rotations')).toBeGreaterThanOrEqual(2);
  expect(of('connections')).toBeGreaterThan(of('rotations'));
  const [p50, p99, max] = [of('latency p50'), of('latency p99'), of('latency max')];
  expect(p50).toBeGreaterThan(0);
  expect(p99).toBeGreaterThanOrEqual(p50);
  expect(max).toBeGreaterThanOrEqual(p99);
  expect(of('held at peak')).toBeLessThanOrEqual(34);
  expect(of('RSS at peak')).toBeGreaterThanOrEqual(Math.max(of('RSS at start'), of('RSS at end')));
  expect(of('RSS at start')).toBeGreaterThan(0);

  // Off a terminal: a plain line every second, and no colours.
  expect(stdout.match(/^ {2}\d+\.\d s {2}emitted [\d,]+ {2}acknowledged [\d,]+/gm)?.length).toBeGreaterThanOrEqual(3);
  expect(stdout).not.toContain('\x1b');
  expect(stdout).toContain('Every record was received.');
  expect(stderr).not.toContain('Failed');
  expect(code).toBe(0);
  expect(readdirSync(TMPDIR)).toEqual([]);
});

test('the soak fails if receivers acknowledge records and throw them away', async () => {
  const { code, stdout, stderr } = await runProgram(SOAK, {
    args: ['--embedded', '--lossy', '--seconds', '3'],
    env: LONG_LIMIT_VARIABLES,
  });
  const lost = tableValue(stdout, 'lost');
  expect(lost).toBeGreaterThan(0);
  expect(tableValue(stdout, 'received') + lost).toBe(tableValue(stdout, 'acknowledged'));
  expect(stderr).toContain(`Failed: ${lost.toLocaleString('en-US')} records were lost.`);
  expect(stdout).not.toContain('Every record was');
  expect(code).toBe(1);
});

test('an interrupt of the soak ends its receivers and removes their files', async () => {
  const TMPDIR = temporaryDirectory();
  const { child, wrote, finished } = startProgram(SOAK, { args: ['--embedded'], env: { TMPDIR } });
  await wrote('emitted');
  const ports = readdirSync(TMPDIR).map((directory) => {
    const log = readFileSync(join(TMPDIR, directory, 'receiver.log'), 'utf8');
    return Number(/listening at tcp:\/\/127\.0\.0\.1:(\d+)/.exec(log)?.[1]);
  });
  expect(ports).toHaveLength(3);
  child.kill('SIGINT');
  const { code, stdout } = await finished;
  expect(code).toBe(130);
  expect(stdout).not.toContain('What became');
  expect(readdirSync(TMPDIR)).toEqual([]);
  // The system closes the port of a killed process a little later.
  for (const port of ports) while (!(await isRefused(port))) await sleep(20);
});

test('the soak reports why a receiver does not start, and leaves nothing behind', async () => {
  const [TMPDIR, PATH] = [temporaryDirectory(), temporaryDirectory()];
  const fluentd = join(PATH, 'fluentd');
  writeFileSync(fluentd, '#!/bin/sh\n[ "$1" = --version ] && echo "fluentd 1.18.0" && exit\necho broken\nexit 3\n');
  chmodSync(fluentd, 0o755);
  const { code, stderr } = await runProgram(SOAK, { env: { TMPDIR, PATH } });
  expect(stderr).toContain('fluentd ended at its start:\nbroken');
  expect(code).toBe(1);
  expect(readdirSync(TMPDIR)).toEqual([]);
});

test('the soak reports how to continue if Fluentd is not installed', async () => {
  const { code, stdout, stderr } = await runProgram(SOAK, { env: { PATH: temporaryDirectory() } });
  expect(stderr).toMatch(/^fluentd is not installed: gem install fluentd -v [\d.]+; or use --embedded\n$/);
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
});

test('the soak prints its options with --help', async () => {
  const { code, stdout, stderr } = await runProgram(SOAK, { args: ['--help'] });
  for (const option of ['--seconds <n>', '--embedded', '--lossy']) expect(stdout).toContain(`  ${option}`);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
});

test.concurrent.each([
  { args: ['--seconds', '2'], message: "--seconds is a whole number from 3 to 3,600, not '2'" },
  { args: ['--seconds', '3601'], message: "not '3601'" },
  { args: ['--seconds', '4.5'], message: "not '4.5'" },
  { args: ['--seconds', ''], message: "not ''" },
  { args: ['--seconds', 'long'], message: "not 'long'" },
  { args: ['--lossy'], message: '--lossy is for --embedded receivers' },
  { args: ['--speed', '3'], message: "Unknown option '--speed'" },
  { args: ['now'], message: "Unexpected argument 'now'" },
])('the soak refuses bad arguments and prints its usage: $args', async ({ args, message }) => {
  const { code, stdout, stderr } = await runProgram(SOAK, { args });
  expect(stderr).toContain(message);
  expect(stderr).toContain('Usage: npm run soak');
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
});
