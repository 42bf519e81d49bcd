import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root: string = fileURLToPath(new URL('../..', import.meta.url));

/** Tools and the package managers' stores, kept between runs. */
const cache = join(root, 'node_modules', '.cache', 'package-test');

export interface Finished {
  /** Null when it was killed for taking too long. */
  readonly code: number | null;
  readonly stdout: string;
  /** Standard output and standard error. */
  readonly output: string;
}

const RUN_LIMIT_MILLIS = 120_000;
/** What says where packages come from; the rest of what `npm test` sets is about this package. */
const NPM_SETTING = /^npm_config_(registry|userconfig|globalconfig|cache|cafile|(https?_?)?proxy|noproxy)$/i;
const NOT_INHERITED = /^(npm_|OTEL_|VITEST|NODE_ENV$|NODE_PATH$|INIT_CWD$)/i;

/** Runs a command as a user outside of this package does; `node` comes first on its PATH. */
export async function run(
  command: string,
  args: readonly string[],
  cwd: string,
  node: string = process.execPath,
  variables: Readonly<Record<string, string>> = {},
): Promise<Finished> {
  const inherited = Object.entries(process.env).filter(([name]) => NPM_SETTING.test(name) || !NOT_INHERITED.test(name));
  const env = Object.fromEntries(inherited);
  const child = spawn(command, args, {
    cwd,
    env: { ...env, ...variables, PATH: `${dirname(node)}${delimiter}${env.PATH}` },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: RUN_LIMIT_MILLIS,
    killSignal: 'SIGKILL',
  });
  let stdout = '';
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
    output += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, stdout, output };
}

const tools = new Map<string, Promise<string>>();

/** Installs a package from the registry where it stays, and gives the path of a file in it. */
export function tool(name: string, version: string, path: string): Promise<string> {
  const key = `${name}@${version}`;
  const installed = tools.get(key) ?? installTool(name, version, path);
  tools.set(key, installed);
  return installed;
}

async function installTool(name: string, version: string, path: string): Promise<string> {
  const home = join(cache, `${name}@${version}`);
  const file = join('node_modules', name, path);
  if (existsSync(join(home, file))) return join(home, file);
  // Takes its place once it is whole: another run may be at the same.
  const fresh = `${home}-${process.pid}`;
  mkdirSync(fresh, { recursive: true });
  writeFileSync(join(fresh, 'package.json'), '{ "private": true }\n');
  const { code, output } = await run('npm', ['install', '--prefer-offline', `${name}@${version}`], fresh);
  if (code !== 0 || !existsSync(join(fresh, file))) throw new Error(`could not install ${name}@${version}:\n${output}`);
  if (existsSync(home)) rmSync(fresh, { recursive: true });
  else renameSync(fresh, home);
  return join(home, file);
}

/** The executable of a version of Node.js. */
export async function nodeOf(major: number): Promise<string> {
  if (process.versions.node.startsWith(`${major}.`)) return process.execPath;
  // What the install script of the package `node` fetches; npm runs such scripts only where they are allowed.
  const { platform, arch } = process;
  const prefix = platform === 'darwin' && arch === 'arm64' ? 'node-bin' : 'node';
  return tool(`${prefix}-${platform}-${arch}`, String(major), join('bin', 'node'));
}

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
  return tool('npm', node === (await nodeOf(20)) ? '10' : '11', 'bin/npm-cli.js');
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
