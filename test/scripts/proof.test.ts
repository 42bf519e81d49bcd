import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { runProgram } from '../support/run-program.ts';

/** Runs the proofs with an `npm` that prints its arguments and fails for the proof `failing`. */
async function prove(args: readonly string[], failing = '') {
  const directory = mkdtempSync(join(tmpdir(), 'proof-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const npm = join(directory, 'npm');
  writeFileSync(npm, `#!/bin/sh\necho "npm $*"\n[ "$3" != '${failing}' ]\n`);
  chmodSync(npm, 0o755);
  const { code, stdout } = await runProgram('scripts/proof.mjs', {
    args,
    env: { PATH: `${directory}${delimiter}${process.env.PATH}` },
  });
  return { code, stdout, commands: stdout.match(/^npm .+$/gm) };
}

test('proof runs every proof in full and reports each one', async () => {
  const { code, stdout, commands } = await prove([]);
  expect(commands).toEqual([
    'npm run --silent fuzz -- 1000000',
    'npm run --silent accounting -- 60000',
    'npm run --silent exits -- 200',
    'npm run --silent outage -- 60,14',
    'npm run --silent soak -- --seconds 300',
  ]);
  expect(stdout).toMatch(
    /^proved {2}fuzz {2}\d+ s\nproved {2}accounting {2}\d+ s\nproved {2}exits {2}\d+ s\nproved {2}outage {2}\d+ s\nproved {2}soak {2}\d+ s$/m,
  );
  expect(code).toBe(0);
});

test('proof with --short and a name runs the short form of that proof', async () => {
  const { code, commands } = await prove(['--short', 'soak']);
  expect(commands).toEqual(['npm run --silent soak -- --seconds 30']);
  expect(code).toBe(0);
});

test('proof runs the other proofs after one has failed, and then fails', async () => {
  const { code, stdout } = await prove([], 'fuzz');
  expect(stdout).toMatch(
    /^FAILED {2}fuzz {2}\d+ s\nproved {2}accounting {2}\d+ s\nproved {2}exits {2}\d+ s\nproved {2}outage {2}\d+ s\nproved {2}soak {2}\d+ s$/m,
  );
  expect(code).toBe(1);
});

test('proof --help names every proof with what it shows and how long it takes', async () => {
  const { code, stdout, stderr } = await runProgram('scripts/proof.mjs', { args: ['--help'] });
  expect(stdout).toMatch(/^ {2}fuzz {2}.+\n {8}Takes 12 minutes, with --short /m);
  expect(stdout).toMatch(/^ {2}accounting {2}.+\n {8}Takes 5 minutes, with --short /m);
  expect(stdout).toMatch(/^ {2}soak {2}.+\n {8}Takes 5 minutes, with --short /m);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
});

test.each([
  { args: ['truth'], message: "There is no proof 'truth'" },
  { args: ['--long'], message: "Unknown option '--long'" },
])('proof rejects unknown arguments and prints its usage: $args', async ({ args, message }) => {
  const { code, stdout, stderr } = await runProgram('scripts/proof.mjs', { args });
  expect(stderr).toContain(message);
  expect(stderr).toContain('Usage: npm run proof');
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
});
