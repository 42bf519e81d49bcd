import { onTestFinished, type TestContext } from 'vitest';
import {
  type FluentdOptions,
  FluentdProcess,
  installedVersion,
  NOT_INSTALLED,
  VERSION,
} from '../../support/fluentd-process.mjs';
import { freePort } from '../../support/receiver-process.mjs';

/** A Fluentd that ends, and whose files are removed, when the test ends. */
export class Fluentd extends FluentdProcess {
  /**
   * Throws if the Fluentd that the tests describe is not installed: these tests are never skipped. Tests that run
   * concurrently pass their own `onTestFinished`.
   */
  static async start(
    options: FluentdOptions = {},
    onFinished: TestContext['onTestFinished'] = onTestFinished,
  ): Promise<Fluentd> {
    const version = installedVersion();
    if (version === undefined) throw new Error(NOT_INSTALLED);
    if (version !== VERSION) throw new Error(`these tests need fluentd ${VERSION}; fluentd ${version} is installed`);
    const fluentd = new Fluentd(await freePort(), options);
    onFinished(() => fluentd.dispose());
    await fluentd.start();
    return fluentd;
  }
}
