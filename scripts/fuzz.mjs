// Runs the fuzz tests with a million inputs from servers and 50,000 records for each property of the encoder,
// with a seed of its own: `npm run fuzz [-- <inputs> [<seed>]]`.
import { spawnSync } from 'node:child_process';
import { randomInt } from 'node:crypto';

const [inputs = '1000000', seed = String(randomInt(2 ** 31))] = process.argv.slice(2);
console.log(`${inputs} inputs; to repeat this run: npm run fuzz -- ${inputs} ${seed}`);
const args = [
  'vitest',
  'run',
  '--project',
  'unit',
  'test/fuzz',
  'test/encode',
  '--reporter=verbose',
  '--testTimeout=0',
];
const { status } = spawnSync('npx', args, {
  stdio: 'inherit',
  env: { ...process.env, FUZZ_INPUTS: inputs, FUZZ_RUNS: String(Math.ceil(inputs / 20)), FUZZ_SEED: seed },
});
process.exitCode = status ?? 1;
