import { defineConfig } from 'vitest/config';
import sdk3 from './test/integration/sdk-3/package.json' with { type: 'json' };
import { resolveIn, SDK_LINE } from './test/support/sdk-line.ts';

/** The packages of the SDK that unit tests import. With SDK_LINE=3 they are those of the 3.x line. */
const SDK_PACKAGES = Object.keys(sdk3.dependencies);

export default defineConfig({
  test: {
    // Most tests wait for timers or other processes. With one worker per core, one core of two would be idle.
    maxWorkers: 2,
    projects: [
      {
        extends: true,
        resolve: {
          alias: SDK_PACKAGES.map((name) => ({
            find: new RegExp(`^${name}$`),
            replacement: resolveIn(SDK_LINE, name),
          })),
        },
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: ['test/integration/**', '**/node_modules/**'],
        },
      },
      {
        extends: true,
        test: {
          name: 'integration',
          include: ['test/integration/**/*.test.ts'],
          exclude: ['**/node_modules/**'],
          globalSetup: ['test/integration/setup.ts'],
        },
      },
    ],
    // Tests use the package and its examples as they are published.
    globalSetup: ['test/support/build.ts'],
    setupFiles: ['test/support/process-warnings.ts'],
    // Only a test that hangs needs these limits. A busy machine is several times slower than a quiet one.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    unstubEnvs: true,
    env: {
      // A test looks up names that do not exist. A name server that does not answer must not cost a minute.
      RES_OPTIONS: 'timeout:1 attempts:1',
      // Many tests hold records on purpose. Their end has tests of its own, in processes of their own.
      OTEL_EXPORTER_FLUENT_FORWARD_FLUSH_AT_EXIT: 'false',
    },
    // Tests that measure memory collect garbage first. `process-warnings.ts` watches the warnings.
    execArgv: ['--expose-gc', '--no-warnings'],
  },
});
