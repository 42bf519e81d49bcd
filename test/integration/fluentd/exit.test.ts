import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { runCode } from '../../exit/program.ts';
import { Authority } from '../../support/certificates.ts';
import { Fluentd } from './fluentd.ts';

const LAST = `
  for (let n = 0; n < 1_000; n++) emit(processor, 'last ' + n);
  process.on('exit', () => emit(processor, 'very last'));
  process.exit();`;

async function expectLastRecords(fluentd: Fluentd, stderr: string): Promise<void> {
  const received = (await fluentd.output()).map((line) => (JSON.parse(line) as { message: string }).message);
  const last = Array.from({ length: 1_000 }, (_, n) => `last ${n}`);
  expect(new Set(received)).toEqual(new Set(['first', ...last, 'very last']));
  expect(stderr).toBe('');
}

test('Fluentd gets the records that wait at process.exit', async () => {
  const fluentd = await Fluentd.start();
  const code = `
    const processor = new FluentForwardLogRecordProcessor();
    emit(processor, 'first');
    await processor.forceFlush();
    ${LAST}`;
  const { stderr } = await runCode(code, { OTEL_EXPORTER_FLUENT_FORWARD_ENDPOINT: fluentd.endpoint });
  await expectLastRecords(fluentd, stderr);
});

test.each(['TLSv1_2', 'TLSv1_3'])(
  'Fluentd gets the last records over %s, and sees every connection end well',
  async (version) => {
    const directory = mkdtempSync(join(tmpdir(), 'exit-'));
    onTestFinished(() => rmSync(directory, { recursive: true }));
    const authority = await Authority.create();
    const { cert, key } = await authority.issue();
    for (const [name, text] of Object.entries({ 'server.pem': cert, 'server.key': key, 'ca.pem': authority.cert })) {
      writeFileSync(join(directory, name), text);
    }
    const source = `
    <transport tls>
      cert_path ${directory}/server.pem
      private_key_path ${directory}/server.key
      version ${version}
    </transport>
    <security>
      self_hostname receiver
      shared_key key
    </security>`;
    const fluentd = await Fluentd.start({ source });
    const before = fluentd.complaints.length;
    const code = `
    const processor = new FluentForwardLogRecordProcessor({ sharedKey: 'key', tls: { ca: '${directory}/ca.pem' } });
    emit(processor, 'first');
    await processor.forceFlush();
    ${LAST}`;
    const { stderr } = await runCode(code, { OTEL_EXPORTER_FLUENT_FORWARD_ENDPOINT: fluentd.tlsEndpoint });
    await expectLastRecords(fluentd, stderr);
    expect(fluentd.complaints.slice(before)).toEqual([]);
  },
);
