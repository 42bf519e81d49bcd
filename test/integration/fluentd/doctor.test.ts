import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { failureOf, outcomesOf, REFUSAL_LIMITS, runDoctor, WORKING } from '../../cli/doctor-report.ts';
import { runCli } from '../../cli/run-cli.ts';
import { Authority } from '../../support/certificates.ts';
import { Fluentd } from './fluentd.ts';

const KEY = 'kéy-that-nobody-guesses';

let directory: string;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'doctor-'));
  const authority = await Authority.create('the authority');
  file('ca.pem', authority.cert);
  const { cert, key } = await authority.issue();
  file('server.pem', cert);
  file('server.key', key);
});

afterAll(() => rmSync(directory, { recursive: true }));

function file(name: string, content: string): string {
  const path = join(directory, name);
  writeFileSync(path, content);
  return path;
}

describe('doctor with Fluentd', () => {
  const security = (key: string) => `<security>
    self_hostname fluentd
    shared_key ${key}
  </security>`;

  test('doctor reports that exporting to Fluentd works, and Fluentd writes its records', async () => {
    const fluentd = await Fluentd.start();
    const { code, stdout } = await runCli(['doctor', '--endpoint', fluentd.endpoint, '--tag', 'opentelemetry.doctor']);
    expect(stdout).toContain('Exporting works.');
    expect(code).toBe(0);
    const run = /fluent_forward\.doctor: ([\da-f]{8}) to/.exec(stdout)?.[1];
    const lines = await fluentd.output();
    expect(lines.length).toBeGreaterThanOrEqual(4);
    for (const line of lines) {
      expect(JSON.parse(line)).toMatchObject({ attributes: { 'fluent_forward.doctor': run } });
    }
  });

  test('doctor works with TLS and a shared key of Fluentd, and reports a wrong key and missing TLS', async () => {
    const source = `<transport tls>
      cert_path ${directory}/server.pem
      private_key_path ${directory}/server.key
      min_version TLS1_2
      max_version TLS1_3
    </transport>
    ${security(KEY)}`;
    const fluentd = await Fluentd.start({ source });
    const secure = { CERTIFICATE: join(directory, 'ca.pem'), SHARED_KEY_FILE: file('key', `${KEY}\n`) };
    const right = await runDoctor(fluentd.tlsEndpoint, secure);
    expect(right.works).toBe(true);
    expect(outcomesOf(right)).toEqual(['connect passed', 'TLS passed', 'handshake passed', ...WORKING]);
    expect(
      failureOf(await runDoctor(fluentd.tlsEndpoint, { ...secure, SHARED_KEY_FILE: file('wrong', 'x') })),
    ).toMatchObject({
      check: 'handshake',
      text: expect.stringContaining('shared_key mismatch'),
    });
    expect(failureOf(await runDoctor(fluentd.endpoint))).toMatchObject({
      check: 'ack',
      text: expect.stringContaining('TLS'),
    });
  });

  test('doctor reports a large chunk that is above the chunk_size_limit of Fluentd', async () => {
    const fluentd = await Fluentd.start({ source: 'chunk_size_limit 100k' });
    expect(failureOf(await runDoctor(fluentd.endpoint, REFUSAL_LIMITS))).toMatchObject({
      check: 'large chunk',
      remedy: expect.stringContaining('chunk_size_limit'),
    });
  });

  test('doctor notes that Fluentd with deny_keepalive closes the connection after each message', async () => {
    const fluentd = await Fluentd.start({ source: 'deny_keepalive true' });
    const report = await runDoctor(fluentd.endpoint);
    expect(report.works, report.stdout).toBe(true);
    expect(report.findings).toContainEqual(expect.objectContaining({ check: 'rotation', outcome: 'noted' }));
  });
});
