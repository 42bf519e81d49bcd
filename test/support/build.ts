import { execFileSync } from 'node:child_process';

/** Compiles the package once for all tests that run it as a user would. */
export function setup(): void {
  execFileSync(process.execPath, ['scripts/build.mjs'], { stdio: 'inherit' });
}
