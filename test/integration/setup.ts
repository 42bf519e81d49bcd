import { SDK_3 } from '../support/sdk-line.ts';
import { installLocked } from './registry.mjs';

/** Installs the 3.x line of the SDK once for all integration tests. */
export async function setup(): Promise<void> {
  await installLocked(SDK_3.home);
}
