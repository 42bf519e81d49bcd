// @ts-check
// What integration tests get from the npm registry: tools, other versions of Node.js, and locked dependencies.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../..', import.meta.url));

/** Tools and the package managers' stores. They stay between runs, until `npm ci` removes node_modules. */
export const cache = join(root, 'node_modules', '.cache', 'integration');

const RUN_LIMIT_MILLIS = 300_000;
/** Variables that say where packages come from. The others that npm sets describe this package. */
const NPM_SETTING = /^npm_config_(registry|userconfig|globalconfig|cache|cafile|(https?_?)?proxy|noproxy)$/i;
const NOT_INHERITED = /^(npm_|OTEL_|VITEST|NODE_ENV$|NODE_PATH$|INIT_CWD$)/i;

/**
 * @typedef {object} Finished
 * @property {number | null} code null when the command was killed because it took too long
 * @property {string} stdout
 * @property {string} output standard output and standard error
 */

/**
 * The environment of a command that a user runs outside of this package, with `node` first on its PATH.
 *
 * @param {string} [node]
 * @returns {Record<string, string | undefined>}
 */
export function userEnvironment(node = process.execPath) {
  const inherited = Object.entries(process.env).filter(([name]) => NPM_SETTING.test(name) || !NOT_INHERITED.test(name));
  const env = Object.fromEntries(inherited);
  return { ...env, PATH: `${dirname(node)}${delimiter}${env.PATH}` };
}

/**
 * Runs a command as a user does outside of this package.
 *
 * @param {string} command
 * @param {readonly string[]} args
 * @param {string} cwd
 * @param {string} [node] comes first on the PATH
 * @param {Readonly<Record<string, string>>} [variables]
 * @returns {Promise<Finished>}
 */
export async function run(command, args, cwd, node, variables = {}) {
  const child = spawn(command, args, {
    cwd,
    env: { ...userEnvironment(node), ...variables },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: RUN_LIMIT_MILLIS,
    killSignal: 'SIGKILL',
  });
  let stdout = '';
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text) => {
    stdout += text;
    output += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text) => {
    output += text;
  });
  const [code] = await once(child, 'close');
  return { code, stdout, output };
}

/** @type {Map<string, Promise<string>>} */
const tools = new Map();

/**
 * Installs a package from the registry, unless it is installed, and returns the path of a file in it.
 *
 * @param {string} name
 * @param {string} version
 * @param {string} path
 * @returns {Promise<string>}
 */
export function tool(name, version, path) {
  const key = `${name}@${version}`;
  const installed = tools.get(key) ?? installTool(name, version, path);
  tools.set(key, installed);
  return installed;
}

/**
 * @param {string} name
 * @param {string} version
 * @param {string} path
 */
async function installTool(name, version, path) {
  const home = join(cache, `${name}@${version}`);
  const file = join('node_modules', name, path);
  if (existsSync(join(home, file))) return join(home, file);
  // Another run may install the same tool, so the folder gets its final name when it is complete.
  const fresh = `${home}-${process.pid}`;
  mkdirSync(fresh, { recursive: true });
  writeFileSync(join(fresh, 'package.json'), '{ "private": true }\n');
  const { code, output } = await run('npm', ['install', '--prefer-offline', `${name}@${version}`], fresh);
  if (code !== 0 || !existsSync(join(fresh, file))) throw new Error(`could not install ${name}@${version}:\n${output}`);
  if (existsSync(home)) rmSync(fresh, { recursive: true });
  else renameSync(fresh, home);
  return join(home, file);
}

/**
 * The executable of a version of Node.js: of the running one if `version` is its beginning.
 *
 * @param {string} version such as `24` or `20.19.0`
 * @returns {Promise<string>}
 */
export async function nodeOf(version) {
  if (`${process.versions.node}.`.startsWith(`${version}.`)) return process.execPath;
  // The package `node` fetches these in an install script. npm runs such scripts only where they are allowed.
  const { platform, arch } = process;
  const prefix = platform === 'darwin' && arch === 'arm64' ? 'node-bin' : 'node';
  return tool(`${prefix}-${platform}-${arch}`, version, join('bin', 'node'));
}

/**
 * Installs what the lock file of a folder below the repository says, unless that is installed already.
 *
 * @param {string} home
 */
export async function installLocked(home) {
  const directory = join(root, home);
  const installed = join(directory, 'node_modules', '.package-lock.json');
  if (existsSync(installed) && statSync(installed).mtimeMs >= statSync(join(directory, 'package-lock.json')).mtimeMs) {
    return;
  }
  const args = ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline'];
  const { code, output } = await run('npm', args, directory);
  if (code !== 0) throw new Error(`npm ci in ${home}:\n${output}`);
}
