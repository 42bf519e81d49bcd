import { dirname, join } from 'node:path';
import { cache, type Finished, nodeOf, run, tool } from '../registry.mjs';

export type PackageManager = 'npm' | 'pnpm' | 'yarn';

/** Installs packages into a project. */
export async function install(
  manager: PackageManager,
  node: string,
  project: string,
  packages: readonly string[],
  flags: readonly string[] = [],
): Promise<Finished> {
  const [script, ...args] = await installCommand(manager, node);
  // Yarn 1 leaves temporary folders behind; here they go when the project goes.
  return run(node, [script, ...args, ...flags, ...packages], project, node, { TMPDIR: dirname(project) });
}

async function installCommand(manager: PackageManager, node: string): Promise<[string, ...string[]]> {
  switch (manager) {
    case 'npm':
      return [await npmFor(node), 'install', '--no-audit', '--no-fund', '--prefer-offline'];
    case 'pnpm':
      return [
        await tool('pnpm', '10', 'bin/pnpm.cjs'),
        'add',
        '--prefer-offline',
        '--reporter=append-only',
        '--strict-peer-dependencies',
        `--store-dir=${join(cache, 'pnpm-store')}`,
      ];
    case 'yarn':
      return [
        await tool('yarn', '1.22.22', 'bin/yarn.js'),
        'add',
        '--prefer-offline',
        '--non-interactive',
        '--no-progress',
        `--cache-folder=${join(cache, 'yarn-cache')}`,
        // Two at a time would spoil its cache.
        `--mutex=file:${join(cache, 'yarn-mutex')}`,
      ];
  }
}

/** The npm that comes with a version of Node.js. */
export async function npmFor(node: string): Promise<string> {
  return tool('npm', node === (await nodeOf('20')) ? '10' : '11', 'bin/npm-cli.js');
}

/** Runs tasks, so many at a time, in the order of the calls. */
export function limited(count: number): <T>(task: () => Promise<T>) => Promise<T> {
  let running = 0;
  const waiting: (() => void)[] = [];
  return async (task) => {
    if (running === count) await new Promise<void>((start) => waiting.push(start));
    else running++;
    try {
      return await task();
    } finally {
      const next = waiting.shift();
      if (next === undefined) running--;
      else next();
    }
  };
}
