// What comes with a client: the files of its package, and of all that it depends on.
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const TITLE = 'Installed size, dependencies included, and the number of packages';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const OWN = 'opentelemetry-exporter-fluent-forward';
const PACKAGES = [
  OWN,
  '@opentelemetry/exporter-logs-otlp-proto',
  '@opentelemetry/exporter-logs-otlp-http',
  '@fluent-org/logger',
  'fluent-logger',
];

export function run({ progress }) {
  const results = PACKAGES.map((name) => {
    const folders = closureOf(folderOf(name, import.meta.url));
    return { package: name, bytes: folders.reduce((sum, folder) => sum + sizeOf(folder), 0), packages: folders.length };
  });
  progress('all packages');
  return results;
}

/** The folders of a package, of its dependencies, and of the peers that it cannot do without. */
function closureOf(folder, found = []) {
  if (found.includes(folder)) return found;
  found.push(folder);
  const { dependencies = {}, peerDependencies = {}, peerDependenciesMeta = {} } = manifestOf(folder);
  const peers = Object.keys(peerDependencies).filter((name) => !peerDependenciesMeta[name]?.optional);
  for (const name of [...Object.keys(dependencies), ...peers]) {
    closureOf(folderOf(name, join(folder, 'package.json')), found);
  }
  return found;
}

function folderOf(name, from) {
  for (const path of createRequire(from).resolve.paths(name)) {
    const folder = join(path, name);
    if (statSync(join(folder, 'package.json'), { throwIfNoEntry: false }) !== undefined) return folder;
  }
  throw new Error(`${name} is not installed`);
}

function manifestOf(folder) {
  return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
}

function sizeOf(folder) {
  const isOwn = manifestOf(folder).name === OWN;
  // What is published of it, and not all that a clone has.
  const names = isOwn
    ? ['package.json', 'README.md', 'LICENSE', ...manifestOf(ROOT).files]
    : readdirSync(folder).filter((name) => name !== 'node_modules');
  return names.reduce((sum, name) => sum + sizeOfEntry(join(folder, name)), 0);
}

function sizeOfEntry(path) {
  const stats = statSync(path);
  if (!stats.isDirectory()) return stats.size;
  return readdirSync(path).reduce((sum, name) => sum + sizeOfEntry(join(path, name)), 0);
}

export function tables(results) {
  const rows = results.map(({ package: name, bytes, packages }) => ({ '': name, kB: bytes / 1_000, packages }));
  return [{ rows }];
}
