import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Examples and packages are tested as they are published.
    globalSetup: ['test/support/build.ts'],
    testTimeout: 20_000,
    hookTimeout: 60_000,
    unstubEnvs: true,
    // Tests that measure memory collect garbage first.
    execArgv: ['--expose-gc'],
  },
});
