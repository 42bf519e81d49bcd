import { collectGarbage } from '../faults/resource-usage.ts';
import { settle } from '../support/fake-clock.ts';

/** How much more memory is held after `action` than before. */
export async function grownBytes(action: () => void | Promise<void>): Promise<number> {
  const before = await heldBytes();
  await action();
  return (await heldBytes()) - before;
}

async function heldBytes(): Promise<number> {
  // What has just been closed is let go of in the turns that follow.
  for (let round = 0; round < 5; round++) {
    await settle();
    collectGarbage();
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}
