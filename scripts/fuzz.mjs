// Runs the fuzz tests with a million inputs and a seed of its own: `npm run fuzz [-- <inputs> [<seed>]]`.
import { spawnSync } from 'node:child_process';
import { randomInt } from 'node:crypto';

const [inputs = '1000000', seed = String(randomInt(2 ** 31))] = process.argv.slice(2);
console.log(`${inputs} inputs; to repeat this run: npm run fuzz -- ${inputs} ${seed}`);
const { status } = spawnSync('npx', ['vitest', 'run', 'test/fuzz', '--reporter=verbose'], {
  stdio: 'inherit',
  env: { ...process.env, FUZZ_INPUTS: inputs, FUZZ_SEED: seed },
});
process.exitCode = status ?? 1;
