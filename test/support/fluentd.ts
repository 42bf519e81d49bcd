import { onTestFinished, type TestContext } from 'vitest';
import { type FluentdOptions, FluentdProcess, installedVersion, NOT_INSTALLED, VERSION } from './fluentd-process.mjs';
import { freePort } from './receiver-process.mjs';

/** Skips the test where there is no Fluentd; in CI it fails instead. For `beforeEach`. */
export function requireFluentd(context: TestContext): void {
  const version = installedVersion();
  const isCi = !['', 'false', undefined].includes(process.env.CI);
  if (version === undefined) {
    if (isCi) throw new Error(`${NOT_INSTALLED} (CI is set, where these tests must run)`);
    context.skip(NOT_INSTALLED);
  }
  if (isCi && version !== VERSION) throw new Error(`fluentd ${VERSION} is wanted in CI, found ${version}`);
}

/** A Fluentd that ends, and is gone, with the test. */
export class Fluentd extends FluentdProcess {
  /** A test that runs beside others gives its own `onTestFinished`. */
  static async start(
    options: FluentdOptions = {},
    onFinished: TestContext['onTestFinished'] = onTestFinished,
  ): Promise<Fluentd> {
    const fluentd = new Fluentd(await freePort(), options);
    onFinished(() => fluentd.dispose());
    await fluentd.start();
    return fluentd;
  }
}
