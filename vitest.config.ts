import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Examples and packages are tested as they are published.
    globalSetup: ['test/support/build.ts'],
    // Most tests wait for timers or other processes: a worker a core leaves one of two idle.
    maxWorkers: 2,
    testTimeout: 20_000,
    hookTimeout: 60_000,
    unstubEnvs: true,
    // Tests that measure memory collect garbage first.
    execArgv: ['--expose-gc'],
  },
});
