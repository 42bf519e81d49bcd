import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import type { ForwardReceiver } from '../../src/testing/index.ts';
import { BlackHole } from '../faults/children.ts';
import { Authority, type Pair } from '../support/certificates.ts';
import { bodiesOf, deadEndpoint, endpointOf, listen, runCode } from './program.ts';

const PASSPHRASE = 'a passphrase';
const SECURITY = { sharedKey: 'a shared key', users: { shop: 'a password' } };

let directory: string;
let authority: Authority;
let server: Pair;
let client: Pair;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'exit-'));
  authority = await Authority.create();
  server = await authority.issue();
  client = await authority.issue({ names: ['client'], passphrase: PASSPHRASE });
});
afterAll(() => rmSync(directory, { recursive: true }));

function file(name: string, content: string): string {
  const path = join(directory, name);
  writeFileSync(path, content);
  return path;
}

/** A receiver that wants a client certificate, a shared key and a user. */
function listenSecurely(): Promise<ForwardReceiver> {
  return listen({ tls: { ...server, ca: authority.cert, requestCert: true }, security: SECURITY });
}

/** The options for {@link listenSecurely} in code: each value is an expression. */
function options(values: Readonly<Record<'ca' | 'cert' | 'key' | 'passphrase' | 'sharedKey' | 'password', string>>) {
  const { ca, cert, key, passphrase, sharedKey, password } = values;
  return `{
    sharedKey: ${sharedKey}, username: 'shop', password: ${password},
    tls: { ca: ${ca}, cert: ${cert}, key: ${key}, passphrase: ${passphrase} },
  }`;
}

const texts = () => ({
  ca: JSON.stringify(authority.cert),
  cert: JSON.stringify(client.cert),
  key: JSON.stringify(client.key),
  passphrase: JSON.stringify(PASSPHRASE),
  sharedKey: JSON.stringify(SECURITY.sharedKey),
  password: JSON.stringify(SECURITY.users.shop),
});

/** Functions that return the texts while `works` is true, and then throw. */
const functions = () =>
  Object.fromEntries(
    Object.entries(texts()).map(([name, text]) => [
      name,
      `() => { if (works) return ${text}; throw new Error('broken'); }`,
    ]),
  ) as ReturnType<typeof texts>;

const WARM = `
  emit(processor, 'first');
  await processor.forceFlush();`;

describe('secrets and certificates at the end of a process', () => {
  it.each([
    ['before the first dial', '', ['last']],
    ['after it', WARM, ['first', 'last']],
  ])('that are texts are used %s', async (_, before, bodies) => {
    const receiver = await listenSecurely();
    const code = `
      const processor = new FluentForwardLogRecordProcessor(${options(texts())});
      ${before}
      emit(processor, 'last');
      process.exit();`;
    const { stderr } = await runCode(code, endpointOf(receiver));
    expect({ bodies: bodiesOf(receiver), stderr }).toEqual({ bodies, stderr: '' });
  });

  it('that are files are read before the first dial', async () => {
    const receiver = await listenSecurely();
    const path = (name: keyof ReturnType<typeof texts>) =>
      JSON.stringify(file(`cold-${name}.pem`, JSON.parse(texts()[name])));
    const paths = { ...texts(), ca: path('ca'), cert: path('cert'), key: path('key') };
    const code = `
      const processor = new FluentForwardLogRecordProcessor(${options(paths).replace(/sharedKey: "[^"]+",/, '')});
      emit(processor, 'last');
      process.exit();`;
    const env = { OTEL_EXPORTER_FLUENT_FORWARD_SHARED_KEY_FILE: file('shared-key', `${SECURITY.sharedKey}\n`) };
    const { stderr } = await runCode(code, { ...endpointOf(receiver), ...env });
    expect({ bodies: bodiesOf(receiver), stderr }).toEqual({ bodies: ['last'], stderr: '' });
  });

  it('that were good last are used if files are broken by then', async () => {
    const receiver = await listenSecurely();
    const paths = { ...texts() };
    for (const name of ['ca', 'cert', 'key'] as const) {
      paths[name] = JSON.stringify(file(`warm-${name}.pem`, JSON.parse(texts()[name])));
    }
    const code = `
      import { writeFileSync } from 'node:fs';
      const processor = new FluentForwardLogRecordProcessor(${options(paths)});
      ${WARM}
      for (const path of [${paths.ca}, ${paths.cert}, ${paths.key}]) writeFileSync(path, 'broken');
      emit(processor, 'last');
      process.exit();`;
    const { stderr } = await runCode(code, endpointOf(receiver));
    expect({ bodies: bodiesOf(receiver), stderr }).toEqual({ bodies: ['first', 'last'], stderr: '' });
  });

  it('that functions gave last are used', async () => {
    const receiver = await listenSecurely();
    const code = `
      let works = true;
      const processor = new FluentForwardLogRecordProcessor(${options(functions())});
      ${WARM}
      works = false;
      emit(processor, 'last');
      process.exit();`;
    const { stderr } = await runCode(code, endpointOf(receiver));
    expect({ bodies: bodiesOf(receiver), stderr }).toEqual({ bodies: ['first', 'last'], stderr: '' });
  });

  it('that functions have not given yet are named, and the process does not wait', async () => {
    const receiver = await listenSecurely();
    const code = `
      let works = true;
      const processor = new FluentForwardLogRecordProcessor(${options(functions())});
      emit(processor, 'last');
      process.exit();`;
    const { stderr, millis } = await runCode(code, endpointOf(receiver));
    expect(bodiesOf(receiver)).toEqual([]);
    expect(stderr).toContain(
      `1 for ${receiver.endpoint} (not sent, because sharedKey is a function that has given no value yet)`,
    );
    expect(millis).toBeLessThan(20_000);
  });
});

it('functions that no dial needs do not keep records from being sent', async () => {
  const receiver = await listen();
  const code = `
    const tls = { ca: () => 'never called' };
    emit(new FluentForwardLogRecordProcessor({ tls, password: () => 'never called' }), 'last');
    process.exit();`;
  await runCode(code, endpointOf(receiver));
  expect(bodiesOf(receiver)).toEqual(['last']);
});

describe('addresses at the end of a process', () => {
  it('that a resolver of the application gave last are used', async () => {
    const receiver = await listen();
    const port = Number(new URL(receiver.endpoint).port);
    const code = `
      let works = true;
      const resolver = async () => {
        if (works) return [{ address: '127.0.0.1', port: ${port} }];
        throw new Error('broken');
      };
      const processor = new FluentForwardLogRecordProcessor({ endpoint: 'tcp://no.such.name.invalid', resolver });
      ${WARM}
      works = false;
      emit(processor, 'last');
      process.exit();`;
    const { stderr } = await runCode(code);
    expect({ bodies: bodiesOf(receiver), stderr }).toEqual({ bodies: ['first', 'last'], stderr: '' });
  });

  it('that a resolver has not given yet are missing, and the process does not wait', async () => {
    const code = `
      const processor = new FluentForwardLogRecordProcessor({ endpoint: 'tcp://fluent', resolver: async () => [] });
      emit(processor, 'last');
      process.exit();`;
    const { stderr, millis } = await runCode(code);
    expect(stderr).toContain('1 for tcp://fluent:24224 (not sent, because the resolver has given no address yet)');
    expect(millis).toBeLessThan(20_000);
  });

  it('of a name that was not looked up yet are looked up by the thread', async () => {
    const receiver = await listen();
    const code = `
      const processor = new FluentForwardLogRecordProcessor();
      emit(processor, 'last');
      process.exit();`;
    const endpoint = receiver.endpoint.replace('127.0.0.1', 'localhost');
    const { stderr } = await runCode(code, { OTEL_EXPORTER_FLUENT_FORWARD_ENDPOINT: endpoint });
    expect({ bodies: bodiesOf(receiver), stderr }).toEqual({ bodies: ['last'], stderr: '' });
  });

  it('are tried one after the other if receivers are dead, or swallow what is sent to them', async () => {
    const receiver = await listen();
    const hole = await BlackHole.open();
    onTestFinished(() => hole.close());
    const endpoints = [await deadEndpoint(), `tcp://127.0.0.1:${hole.port}`, receiver.endpoint];
    const code = `
      const processor = new FluentForwardLogRecordProcessor({
        endpoint: ${JSON.stringify(endpoints)},
        connectTimeoutMillis: 1_000,
      });
      for (let n = 0; n < 100; n++) emit(processor, n);
      process.exit();`;
    const { stderr } = await runCode(code);
    expect({ count: bodiesOf(receiver).length, stderr }).toEqual({ count: 100, stderr: '' });
  });
});
