import { createRequire } from 'node:module';
import { resolve } from 'node:path';

/** This package, whose peers the SDK's packages are. */
export const HERE: string = __filename;
/** The application; without a file of its own, what its directory would hold. */
export const APPLICATION: string = resolve(process.argv[1] ?? 'index.js');

export interface Found<T> {
  readonly path: string;
  readonly exports: T;
}

/** Loads a package that may not be installed, as the first of the files that can would. */
export function requireFrom<T>(files: readonly string[], name: string): Found<T> | undefined {
  for (const file of files) {
    const require = createRequire(file);
    const path = resolved(require, name);
    if (path !== undefined) return { path, exports: require(path) };
  }
  return undefined;
}

function resolved(require: NodeJS.Require, name: string): string | undefined {
  try {
    return require.resolve(name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'MODULE_NOT_FOUND') return undefined;
    throw error;
  }
}
