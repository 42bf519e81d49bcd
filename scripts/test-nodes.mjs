// Runs the unit tests on each version of Node.js that the package supports: `npm run test:nodes`, or
// `npm run test:nodes -- 24` for one of them.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { installLocked, nodeOf, root, userEnvironment } from '../test/integration/registry.mjs';

/** The first version is the oldest one that package.json allows. The 3.x line of the SDK needs Node.js 22.15. */
const RUNS = [
  { version: '20.19.0', sdk: '0.223' },
  { version: '22', sdk: '3' },
  { version: '24', sdk: '0.223' },
  { version: '26', sdk: '3' },
];

async function runUnitTests({ version, sdk }) {
  const node = await nodeOf(version);
  console.log(`\n=== unit tests on Node.js ${version} with SDK ${sdk}`);
  const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs');
  const child = spawn(node, [vitest, 'run', '--project', 'unit'], {
    cwd: root,
    env: { ...userEnvironment(node), SDK_LINE: sdk },
    stdio: 'inherit',
  });
  const [code] = await once(child, 'close');
  return code === 0;
}

async function main(wanted) {
  const known = RUNS.map(({ version }) => version);
  const unknown = wanted.filter((version) => !known.includes(version));
  if (unknown.length > 0) {
    console.error(`Unknown version ${unknown.join(', ')}. Known versions: ${known.join(', ')}.`);
    return 2;
  }
  const runs = RUNS.filter(({ version }) => wanted.length === 0 || wanted.includes(version));
  if (runs.some(({ sdk }) => sdk === '3')) await installLocked('test/integration/sdk-3');
  const failed = [];
  for (const run of runs) if (!(await runUnitTests(run))) failed.push(`Node.js ${run.version} with SDK ${run.sdk}`);
  if (failed.length === 0) return 0;
  console.error(`\nThe unit tests failed on ${failed.join(', and on ')}.`);
  return 1;
}

process.exitCode = await main(process.argv.slice(2));
