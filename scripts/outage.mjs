// Tests that the processor loses no record in outages of Fluentd: `npm run outage [-- <seconds>[,<seconds>...]]`.
import { spawnSync } from 'node:child_process';

const [seconds = '60'] = process.argv.slice(2);
const test = 'test/integration/fluentd/outage.test.ts';
const args = ['vitest', 'run', '--project', 'integration', test, '--reporter=verbose', '--testTimeout=0'];
const { status } = spawnSync('npx', args, { stdio: 'inherit', env: { ...process.env, OUTAGE_SECONDS: seconds } });
process.exitCode = status ?? 1;
