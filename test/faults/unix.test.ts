import { chmodSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe } from 'vitest';
import { until } from '../support/fake-clock.ts';
import { BACKOFF_MILLIS, meetsFault, testFaults } from './fault-case.ts';

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
  testFaults([
    {
      name: 'is not there yet',
      receivers: [],
      options: () => {
        path = freshPath();
        return { endpoint: `unix://${path}` };
      },
      happens: async (run) => {
        await meetsFault(run);
        await run.listen({ path });
      },
      settlesAfter: BACKOFF_MILLIS,
      warns: [NO_SUCH_SOCKET],
    },
    {
      name: 'gives no permission',
      receivers: [],
      options: async (run) => {
        path = freshPath();
        const { endpoint } = await run.listen({ path });
        chmodSync(path, 0o000);
        return { endpoint };
      },
      happens: async (run) => {
        await withoutPrivileges(() => meetsFault(run));
        chmodSync(path, 0o666);
      },
      settlesAfter: BACKOFF_MILLIS,
      warns: [/no permission to connect to the socket/],
    },
    {
      name: 'is made anew',
      receivers: [],
      options: async (run) => {
        path = freshPath();
        return { endpoint: (await run.listen({ path })).endpoint };
      },
      happens: async (run) => {
        await run.prove();
        await run.receiver.close();
        await until(() => run.sockets.open.length === 0);
        await meetsFault(run);
        await run.listen({ path });
      },
      settlesAfter: BACKOFF_MILLIS,
      warns: [NO_SUCH_SOCKET],
    },
  ]);
});
