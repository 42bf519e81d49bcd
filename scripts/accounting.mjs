// Tries the processor with thousands of sequences of records, faults, flushes and shutdowns, with a seed of its own:
// `npm run accounting [-- <runs> [<seed>]]`.
import { spawnSync } from 'node:child_process';
import { randomInt } from 'node:crypto';

const [runs = '60000', seed = String(randomInt(2 ** 31))] = process.argv.slice(2);
console.log(`${runs} runs; to repeat them: npm run accounting -- ${runs} ${seed}`);
const test = 'test/processor/accounting.property.test.ts';
const args = ['vitest', 'run', '--project', 'unit', test, '--reporter=verbose', '--testTimeout=0'];
const { status } = spawnSync('npx', args, {
  stdio: 'inherit',
  env: { ...process.env, ACCOUNTING_RUNS: runs, ACCOUNTING_SEED: seed },
});
process.exitCode = status ?? 1;
