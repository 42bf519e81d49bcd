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

it('the logs, errors and properties of a failing exporter hold no secret', async () => {
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
    // This one accepts the key and refuses the user.
    await listen({ security: { ...secure, sharedKey: KEY } }),
    await listen({ security: secure, handshakeFaults: () => ({ kind: 'impostor' }) }),
    await listen({ security: secure, handshakeFaults: () => ({ kind: 'reflect' }) }),
    // The reason of a refusal comes from the server, which could have received a secret.
    await listen({ security: secure, handshakeFaults: () => ({ kind: 'refuse', reason: 'no' }) }),
    await listen({ tls: mutual, security: secure }),
  ];
  const silent = await listen();
  const tls = { ca: authority.cert, ...client };
  const login = { sharedKey: KEY, username: 'alice', password: PASSWORD, hostname: 'client' };
  const ended = await runProgram('test/connection/secrets-program.mjs', {
    env: {
      TEST: JSON.stringify({
        endpoints: [
          ...receivers.map(({ endpoint }) => ({ endpoint })),
          { endpoint: receivers[0]?.endpoint, limits: { timeoutMillis: 1_000 }, isTimedOut: true },
          // A client with a key waits for a HELO there until its limit.
          { endpoint: silent.endpoint, limits: { connectTimeoutMillis: 500 } },
        ],
        options: [
          {},
          { ...login, tls: { ...tls, passphrase: PASSPHRASE } },
          { ...login, tls: { ...tls, passphrase: `${PASSPHRASE}, but wrong` } },
          { ...login, tls: { ...tls, cert: server.cert, passphrase: PASSPHRASE } },
          { ...login, tls: { ...tls, cert: file('cut.pem', client.cert.slice(0, -40)) } },
          // Values in the wrong place, of the wrong form or the wrong type.
          { ...login, tls: { ...tls, key: client.key.replaceAll(/-----.*-----/g, '') } },
          { ...login, tls: { ...tls, key: client.key.replaceAll(/-----.*-----|\n/g, '') } },
          { ...login, tls: { ...tls, key: PASSPHRASE } },
          { ...login, tls: { ...tls, key: PASSPHRASE, cert: PASSPHRASE } },
          { ...login, tls: { ...tls, passphrase: [PASSPHRASE] } },
          { ...login, sharedKey: [KEY] },
          { ...login, password: { password: PASSWORD } },
          { ...login, sharedKey: KEY.repeat(100) },
          { ...login, endpoint: `tcp://alice:${PASSWORD}@127.0.0.1` },
          { ...login, endpoint: `tls://:${PASSWORD}@127.0.0.1/x` },
          { ...login, endpoint: `tcp:alice:${PASSWORD}@127.0.0.1` },
          { ...login, endpoint: `tcp://127.0.0.1?password=${PASSWORD}` },
        ],
      }),
      OTEL_EXPORTER_FLUENT_FORWARD_SHARED_KEY_FILE: file('key', `${IN_FILE}\n`),
      OTEL_EXPORTER_FLUENT_FORWARD_SHARED_KEY: IN_VARIABLE,
      OTEL_EXPORTER_FLUENT_FORWARD_PASSWORD: IN_VARIABLE.repeat(100),
    },
  });
  const all = ended.stdout + ended.stderr;
  expect(ended.code).toBe(0);
  // A program that prints no failures would prove nothing.
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
