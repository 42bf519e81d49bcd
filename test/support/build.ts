import { execFileSync } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** Compiles the package for the tests that run it as a user does, unless the build is newer than its sources. */
export function setup(): void {
  if (builtAt() > changedAt()) return;
  execFileSync(process.execPath, ['scripts/build.mjs'], { stdio: 'inherit' });
}

/** When the last build ended: the build writes this file after both compilations. */
function builtAt(): number {
  return statSync('dist/cjs/package.json', { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

/** When a file or folder that the build depends on changed. A removed file changes its folder. */
function changedAt(): number {
  const sources = readdirSync('src', { recursive: true, encoding: 'utf8' }).map((path) => join('src', path));
  const settings = readdirSync('.').filter((path) => /^(tsconfig.*|package(-lock)?)\.json$/.test(path));
  return Math.max(...['src', 'scripts/build.mjs', ...sources, ...settings].map((path) => statSync(path).mtimeMs));
}
