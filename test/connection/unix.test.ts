import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { exporterFixture } from '../support/exporter-fixture.ts';
import { settle, until } from '../support/fake-clock.ts';

const { listen, start, warnings, log } = exporterFixture();
/** A user without rights. */
const NOBODY = 65_534;

function freshPath(): string {
  return join(mkdtempSync(join(tmpdir(), 'forward-')), 'forward.sock');
}

describe('Unix sockets', () => {
  it('the exporter delivers over a Unix socket and rotates the connection', async () => {
    const receiver = await listen({ path: freshPath() });
    const { clock, send } = start({ endpoint: receiver.endpoint, rotationIntervalMillis: 1_000 });
    expect((await send('a')).code).toBe(0);
    await clock.advance(500);
    await until(() => receiver.connectionCount === 2);
    expect((await send('b')).code).toBe(0);
    expect(receiver.messages.map(({ connection }) => connection)).toEqual([0, 1]);
  });

  it.each(['fluentd', 'fluent-bit'] as const)(
    'the exporter shakes hands over a Unix socket with a receiver in the style of %s',
    async (style) => {
      const receiver = await listen({ path: freshPath(), security: { sharedKey: 'k', users: { u: 'p' }, style } });
      const login = { sharedKey: 'k', username: 'u', password: 'p' };
      const { send } = start({ endpoint: receiver.endpoint, ...login });
      expect((await send('a')).code).toBe(0);
      const stranger = start({ endpoint: receiver.endpoint, ...login, sharedKey: 'other' });
      void stranger.send('b');
      await until(() => warnings().length > 0);
      expect(warnings()[0]).toContain('check sharedKey');
      expect(receiver.messageCount).toBe(1);
    },
  );

  it('the ack timeout on a Unix socket is reported with a hint about in_unix of Fluentd', async () => {
    const receiver = await listen({ path: freshPath(), messageFaults: () => ({ kind: 'withhold' }) });
    const { clock, send } = start({ endpoint: receiver.endpoint });
    void send('a');
    await until(() => receiver.messageCount === 1);
    await settle();
    await clock.advance(5_000);
    expect(warnings()[0]).toContain(
      "no ack within 5000 ms; Fluentd's in_unix never acknowledges: use its in_forward, or Fluent Bit's unix_path",
    );
  });

  it.each<[string, () => string, RegExp]>([
    [
      'a file',
      () => {
        const path = freshPath();
        writeFileSync(path, '');
        return path;
      },
      /: (connection refused; is that a socket, and the receiver running\?|that is no socket)$/,
    ],
    [
      'a socket without a receiver',
      () => {
        const path = freshPath();
        // Killed, it leaves its socket behind.
        const program = 'net.createServer().listen(process.argv[1], () => process.kill(process.pid, "SIGKILL"))';
        spawnSync(process.execPath, ['-e', program, path]);
        return path;
      },
      /: connection refused; is that a socket, and the receiver running\?$/,
    ],
    ['a missing path', freshPath, /: there is no such socket; is the receiver running\?$/],
    ['a path below a file', () => join(import.meta.filename, 'x'), /: the connect failed: connect ENOTDIR /],
  ])('the exporter reports a failed connect to a Unix socket: %s', async (_, path, message) => {
    const { clock, send } = start({ endpoint: `unix://${path()}`, timeoutMillis: 1_000 });
    log.length = 0;
    const result = send('a');
    await until(() => warnings().length > 0);
    await clock.advance(1_000);
    const { error } = await result;
    expect(error?.code).toBe('FLUENT_FORWARD_TIMEOUT');
    expect(error?.cause).toMatchObject({
      code: 'FLUENT_FORWARD_CONNECT_FAILED',
      message: expect.stringMatching(message),
    });
  });

  it('the exporter reports a Unix socket without permission to connect', async () => {
    const path = freshPath();
    chmodSync(dirname(path), 0o755);
    await listen({ path });
    chmodSync(path, 0o600);
    const isRoot = process.geteuid?.() === 0;
    // Root may open anything.
    if (isRoot) process.seteuid?.(NOBODY);
    else chmodSync(path, 0);
    onTestFinished(() => {
      if (isRoot) process.seteuid?.(0);
    });
    const { clock, send } = start({ endpoint: `unix://${path}` });
    void send('a');
    await until(() => warnings().length > 0);
    if (isRoot) process.seteuid?.(0);
    expect(warnings()[0]).toContain(`unix://${path}: no permission to connect to the socket`);
    chmodSync(path, 0o600);
    await clock.advance(100);
  });

  it('the endpoint option rejects a socket path longer than the system allows', () => {
    expect(() => start({ endpoint: `unix:///tmp/${'x'.repeat(104)}` })).toThrow(
      /^option endpoint: .*at most 10[37] bytes/,
    );
  });
});
