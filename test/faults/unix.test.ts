import { chmodSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe } from 'vitest';
import { until } from '../support/fake-clock.ts';
import { BACKOFF_MILLIS, faults, meetsFault } from './row.ts';

const NO_SUCH_SOCKET = /there is no such socket; is the receiver running\?/;
const NOBODY = 65_534;

function freshPath(): string {
  const directory = mkdtempSync(join(tmpdir(), 'forward-'));
  chmodSync(directory, 0o755);
  return join(directory, 'forward.sock');
}

/** Permissions bind all but root. */
async function withoutPrivileges(action: () => Promise<void>): Promise<void> {
  const user = process.geteuid?.();
  if (user === 0) process.seteuid?.(NOBODY);
  try {
    await action();
  } finally {
    if (user === 0) process.seteuid?.(0);
  }
}

let path: string;

describe('a Unix socket', () => {
  faults([
    {
      name: 'is not there yet',
      receivers: [],
      options: () => {
        path = freshPath();
        return { endpoint: `unix://${path}` };
      },
      happens: async (scene) => {
        await meetsFault(scene);
        await scene.listen({ path });
      },
      settlesAfter: BACKOFF_MILLIS,
      warns: [NO_SUCH_SOCKET],
    },
    {
      name: 'gives no permission',
      receivers: [],
      options: async (scene) => {
        path = freshPath();
        const { endpoint } = await scene.listen({ path });
        chmodSync(path, 0o000);
        return { endpoint };
      },
      happens: async (scene) => {
        await withoutPrivileges(() => meetsFault(scene));
        chmodSync(path, 0o666);
      },
      settlesAfter: BACKOFF_MILLIS,
      warns: [/no permission to connect to the socket/],
    },
    {
      name: 'is made anew',
      receivers: [],
      options: async (scene) => {
        path = freshPath();
        return { endpoint: (await scene.listen({ path })).endpoint };
      },
      happens: async (scene) => {
        await scene.prove();
        await scene.receiver.close();
        await until(() => scene.sockets.open.length === 0);
        await meetsFault(scene);
        await scene.listen({ path });
      },
      settlesAfter: BACKOFF_MILLIS,
      warns: [NO_SUCH_SOCKET],
    },
  ]);
});
