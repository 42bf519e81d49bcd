import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';

/** This package, whose peers the SDK's packages are. */
export const HERE: string = __filename;
/** The application; without a file of its own, what its directory would hold. */
export const APPLICATION: string = resolve(process.argv[1] ?? 'index.js');

/** The file that the first of `files` that finds the package would load for it. */
export function resolveFrom(files: readonly string[], name: string): string | undefined {
  for (const file of files) {
    const path = resolved(createRequire(file), name);
    if (path !== undefined) return path;
  }
  return undefined;
}

/** Loads a package that may not be installed. */
export function requireFrom<T>(files: readonly string[], name: string): T | undefined {
  const path = resolveFrom(files, name);
  return path === undefined ? undefined : load<T>(path);
}

export function load<T>(path: string): T {
  return createRequire(path)(path);
}

/** The version of the package `name` that a file of it belongs to; `undefined` if no package.json names it. */
export function versionOf(path: string, name: string): string | undefined {
  const folder = dirname(path);
  if (folder === path) return undefined;
  const packageJson = readPackageJson(folder);
  return packageJson?.name === name ? packageJson.version : versionOf(folder, name);
}

function readPackageJson(folder: string): { readonly name?: string; readonly version?: string } | undefined {
  try {
    return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  } catch {
    return undefined;
  }
}

function resolved(require: NodeJS.Require, name: string): string | undefined {
  try {
    return require.resolve(name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'MODULE_NOT_FOUND') return undefined;
    throw error;
  }
}
