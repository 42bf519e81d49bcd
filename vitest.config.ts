import { defineConfig } from 'vitest/config';
import { resolveIn, SDK_LINE } from './test/support/sdk-line.ts';

/** The packages of the SDK that unit tests import. With SDK_LINE=3 they are those of the 3.x line. */
const SDK_PACKAGES = ['api', 'api-logs', 'context-async-hooks', 'core', 'resources', 'sdk-logs', 'sdk-metrics'];

export default defineConfig({
  test: {
    // Most tests wait for timers or other processes. With one worker per core, one core of two would be idle.
    maxWorkers: 2,
    projects: [
      {
        extends: true,
        resolve: {
          alias: SDK_PACKAGES.map((name) => ({
            find: new RegExp(`^@opentelemetry/${name}$`),
            replacement: resolveIn(SDK_LINE, `@opentelemetry/${name}`),
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
    // A test looks up names that do not exist. A name server that does not answer must not cost a minute.
    env: { RES_OPTIONS: 'timeout:1 attempts:1' },
    // Tests that measure memory collect garbage first. `process-warnings.ts` watches the warnings.
    execArgv: ['--expose-gc', '--no-warnings'],
  },
});
