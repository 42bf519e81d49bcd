import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const root = new URL('../../', import.meta.url);

/** One of the two lines of the OpenTelemetry SDK that the package supports. */
export interface SdkLine {
  readonly name: string;
  /** The folder, below the repository, in which the packages of the line are installed. */
  readonly home: string;
  /** The package that exports the line's logs API. */
  readonly api: string;
}

/** Installed by the repository's `npm ci`. */
export const SDK_0: SdkLine = { name: 'SDK 0.223', home: '.', api: '@opentelemetry/api-logs' };
/** Needs Node.js 22.15. Installed by `npm run test:integration`. */
export const SDK_3: SdkLine = { name: 'SDK 3.x', home: 'test/integration/sdk-3', api: '@opentelemetry/api' };

/** The line that the unit tests run on: the environment variable SDK_LINE, `0.223` (default) or `3`. */
export const SDK_LINE: SdkLine = selectLine(process.env.SDK_LINE ?? '0.223');

function selectLine(name: string): SdkLine {
  if (name === '0.223') return SDK_0;
  if (name === '3') return SDK_3;
  throw new Error(`SDK_LINE: got "${name}", allowed: 0.223, 3`);
}

/** Options of Node.js with which a program of this repository runs on the line under test. */
export const SDK_LINE_OPTIONS: readonly string[] =
  SDK_LINE === SDK_3 ? ['--import', new URL('sdk-3-hook.mjs', import.meta.url).href] : [];

/** Resolves a package name to the file that this line's packages load for it. */
export function resolveIn({ home }: SdkLine, name: string): string {
  return createRequire(fileURLToPath(new URL(`${home}/package.json`, root))).resolve(name);
}
