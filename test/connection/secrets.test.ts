import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { Authority } from '../support/certificates.ts';
import { exporterFixture } from '../support/exporter-fixture.ts';
import { runProgram } from '../support/run-program.ts';

const { listen } = exporterFixture();

const KEY = 'sesame-open-ye';
const PASSWORD = 'xyzzy-plugh-42';
const PASSPHRASE = 'correct-horse-battery';
const IN_FILE = 'staple-in-a-file';
const IN_VARIABLE = 'plover-in-a-variable';

it('no secret is in anything that a failing exporter says or shows', async () => {
  const authority = await Authority.create();
  const server = await authority.issue();
  const client = await authority.issue({ names: ['client'], passphrase: PASSPHRASE });
  const directory = mkdtempSync(join(tmpdir(), 'secrets-'));
  const file = (name: string, content: string) => {
    const path = join(directory, name);
    writeFileSync(path, content);
    return path;
  };
  const secure = { sharedKey: 'another', users: { alice: 'another' } };
  const mutual = { ...server, ca: authority.cert, requestCert: true, rejectUnauthorized: true };
  const receivers = [
    await listen({ security: secure }),
    await listen({ security: { ...secure, style: 'fluent-bit' } }),
    // It takes the key, and not the user.
    await listen({ security: { ...secure, sharedKey: KEY } }),
    await listen({ security: secure, handshakeFaults: () => ({ kind: 'impostor' }) }),
    await listen({ security: secure, handshakeFaults: () => ({ kind: 'reflect' }) }),
    // What a server repeats is the server's, and no secret: but it could have got one.
    await listen({ security: secure, handshakeFaults: () => ({ kind: 'refuse', reason: 'no' }) }),
    await listen({ tls: mutual, security: secure }),
    await listen(),
  ];
  const tls = { ca: authority.cert, ...client };
  const login = { sharedKey: KEY, username: 'alice', password: PASSWORD, hostname: 'client' };
  const ended = await runProgram('test/connection/secrets-program.mjs', {
    env: {
      TEST: JSON.stringify({
        endpoints: receivers.map(({ endpoint }) => endpoint),
        options: [
          {},
          { ...login, tls: { ...tls, passphrase: PASSPHRASE } },
          { ...login, tls: { ...tls, passphrase: `${PASSPHRASE}, but wrong` } },
          { ...login, tls: { ...tls, cert: server.cert, passphrase: PASSPHRASE } },
          { ...login, tls: { ...tls, cert: file('cut.pem', client.cert.slice(0, -40)) } },
          // All kinds of mistakes.
          { ...login, tls: { ...tls, key: client.key.replaceAll(/-----.*-----/g, '') } },
          { ...login, tls: { ...tls, key: client.key.replaceAll(/-----.*-----|\n/g, '') } },
          { ...login, tls: { ...tls, passphrase: [PASSPHRASE] } },
          { ...login, sharedKey: [KEY] },
          { ...login, password: { password: PASSWORD } },
          { ...login, sharedKey: KEY.repeat(100) },
          { ...login, endpoint: `tcp://alice:${PASSWORD}@127.0.0.1` },
          { ...login, endpoint: `tls://:${PASSWORD}@127.0.0.1/x` },
        ],
      }),
      OTEL_EXPORTER_FLUENT_FORWARD_SHARED_KEY_FILE: file('key', `${IN_FILE}\n`),
      OTEL_EXPORTER_FLUENT_FORWARD_SHARED_KEY: IN_VARIABLE,
      OTEL_EXPORTER_FLUENT_FORWARD_PASSWORD: IN_VARIABLE.repeat(100),
    },
  });
  const all = ended.stdout + ended.stderr;
  expect(ended.code).toBe(0);
  // It has failed as it should: a silent program would prove nothing.
  for (const code of ['AUTH_FAILED', 'SERVER_UNTRUSTED', 'TLS_FAILED', 'CREDENTIALS_UNREADABLE', 'CONNECT_TIMEOUT']) {
    expect(all).toContain(`FLUENT_FORWARD_${code}`);
  }
  expect(all).toContain('thrown');
  expect(all).toContain(
    'both OTEL_EXPORTER_FLUENT_FORWARD_SHARED_KEY and OTEL_EXPORTER_FLUENT_FORWARD_SHARED_KEY_FILE',
  );
  const keyLines = client.key.split('\n').filter((line) => line.length > 40 && !line.includes('-----'));
  expect(keyLines.length).toBeGreaterThan(1);
  for (const secret of [KEY, PASSWORD, PASSPHRASE, IN_FILE, IN_VARIABLE, ...keyLines]) {
    expect(all).not.toContain(secret);
    expect(all).not.toContain(Buffer.from(secret).toString('base64').replace(/=+$/, ''));
    expect(all).not.toContain(Buffer.from(secret).toString('hex'));
  }
});
