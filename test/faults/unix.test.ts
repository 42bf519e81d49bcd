import { chmodSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe } from 'vitest';
import { until } from '../support/fake-clock.ts';
import { BACKOFF_MILLIS, sendAndAwaitWarning, testFaults } from './fault-case.ts';

const NO_SUCH_SOCKET = /there is no such socket; is the receiver running\?/;
const NOBODY = 65_534;

function freshPath(): string {
  const directory = mkdtempSync(join(tmpdir(), 'forward-'));
  chmodSync(directory, 0o755);
  return join(directory, 'forward.sock');
}

/** Root needs no permission. */
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

describe('Unix sockets', () => {
  testFaults([
    {
      name: 'the exporter delivers one backoff after a missing Unix socket appears',
      receivers: [],
      options: () => {
        path = freshPath();
        return { endpoint: `unix://${path}` };
      },
      happens: async (run) => {
        await sendAndAwaitWarning(run);
        await run.listen({ path });
      },
      settlesAfter: BACKOFF_MILLIS,
      warns: [NO_SUCH_SOCKET],
    },
    {
      name: 'the exporter delivers one backoff after it gets permission to connect to a Unix socket',
      receivers: [],
      options: async (run) => {
        path = freshPath();
        const { endpoint } = await run.listen({ path });
        chmodSync(path, 0o000);
        return { endpoint };
      },
      happens: async (run) => {
        await withoutPrivileges(() => sendAndAwaitWarning(run));
        chmodSync(path, 0o666);
      },
      settlesAfter: BACKOFF_MILLIS,
      warns: [/no permission to connect to the socket/],
    },
    {
      name: 'the exporter delivers one backoff after a removed Unix socket is created again',
      receivers: [],
      options: async (run) => {
        path = freshPath();
        return { endpoint: (await run.listen({ path })).endpoint };
      },
      happens: async (run) => {
        await run.prove();
        await run.receiver.close();
        await until(() => run.sockets.open.length === 0);
        await sendAndAwaitWarning(run);
        await run.listen({ path });
      },
      settlesAfter: BACKOFF_MILLIS,
      warns: [NO_SUCH_SOCKET],
    },
  ]);
});
