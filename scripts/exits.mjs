// Ends processes in each way at random moments, and tests that no record is lost: `npm run exits [-- <runs> [<seed>]]`.
import { spawnSync } from 'node:child_process';
import { randomInt } from 'node:crypto';

const [runs = '200', seed = String(randomInt(2 ** 31))] = process.argv.slice(2);
console.log(`${runs} runs of each ending; to repeat them: npm run exits -- ${runs} ${seed}`);
const args = ['vitest', 'run', '--project', 'unit', 'test/exit/endings.test.ts', '--reporter=verbose'];
const { status } = spawnSync('npx', args, {
  stdio: 'inherit',
  env: { ...process.env, EXIT_RUNS: runs, EXIT_SEED: seed },
});
process.exitCode = status ?? 1;
