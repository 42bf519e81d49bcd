import { lookup } from 'node:dns/promises';
import { stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { beforeAll, describe, expect, it } from 'vitest';
import { resolveExporterConfig } from '../../src/config/config.ts';
import { FileReads } from '../../src/config/file-reads.ts';
import { Credentials } from '../../src/connection/credentials.ts';
import { Diagnostics } from '../../src/diagnostics.ts';
import type { FluentForwardLogExporterOptions } from '../../src/index.ts';
import type { ForwardReceiver } from '../../src/testing/index.ts';
import { Authority, type Pair } from '../support/certificates.ts';
import { exporterFixture, sendOver } from '../support/exporter-fixture.ts';
import { FakeClock, settle, until } from '../support/fake-clock.ts';
import { HangingFile, hanging } from '../support/hanging-file.ts';

const { listen, start, warnings } = exporterFixture();
const unprefixed = () => warnings().map((text) => text.replace(/^opentelemetry-exporter-fluent-forward /, ''));

const PASSPHRASE = 'a passphrase';
let authority: Authority;
let server: Pair;
let client: Pair;

beforeAll(async () => {
  authority = await Authority.create();
  server = await authority.issue();
  client = await authority.issue({ names: ['client'], passphrase: PASSPHRASE });
});

/** A receiver that wants all that a client can be asked for. */
function listenSecurely(): Promise<ForwardReceiver> {
  return listen({
    tls: { ...server, ca: authority.cert, requestCert: true, rejectUnauthorized: true },
    security: { sharedKey: 'key', users: { user: 'password' } },
  });
}

type Give = () => string | Promise<string>;

/** What a client needs for it, with one of the values given by a function. */
function optionsWith(name: string, wrap: (text: string) => Give): FluentForwardLogExporterOptions {
  const texts: Record<string, string> = {
    sharedKey: 'key',
    password: 'password',
    'tls.ca': authority.cert,
    'tls.cert': client.cert,
    'tls.key': client.key,
    'tls.passphrase': PASSPHRASE,
  };
  const value = (option: string) => (option === name ? wrap(texts[option] as string) : texts[option]);
  return {
    username: 'user',
    sharedKey: value('sharedKey'),
    password: value('password'),
    tls: {
      ca: value('tls.ca'),
      cert: value('tls.cert'),
      key: value('tls.key'),
      passphrase: value('tls.passphrase'),
    },
  };
}

const NAMES = ['sharedKey', 'password', 'tls.ca', 'tls.cert', 'tls.key', 'tls.passphrase'];

describe('a function for a certificate or a secret', () => {
  it.each(NAMES)('a function that hangs at the first dial is named and called again at the next: %s', async (name) => {
    const receiver = await listenSecurely();
    let calls = 0;
    const give = (text: string) => () => (++calls === 1 ? new Promise<string>(() => {}) : text);
    const { clock, send } = start({ endpoint: receiver.endpoint, ...optionsWith(name, give) });
    const result = send('a');
    await until(() => calls === 1);
    await settle();
    await clock.advance(5_000);
    expect(unprefixed()).toEqual([
      expect.stringContaining(
        `: reading the certificates and secrets took longer than 5000 ms; no answer from ${name}; `,
      ),
    ]);
    await clock.advance(100);
    expect((await result).code).toBe(0);
    expect(calls).toBe(2);
  });

  it.each(NAMES)('a function that hangs at a renewal is named and called again at the next: %s', async (name) => {
    const receiver = await listenSecurely();
    let calls = 0;
    const give = (text: string) => () => (++calls === 2 ? new Promise<string>(() => {}) : text);
    const options = { ...optionsWith(name, give), rotationIntervalMillis: 20_000 };
    const made = start({ endpoint: receiver.endpoint, ...options });
    expect((await made.send('a')).code).toBe(0);
    await made.clock.advance(10_000);
    await made.clock.advance(2_500);
    await sendOver(1, made, receiver);
    const what = name.startsWith('tls.') ? 'certificates' : 'secrets';
    expect(unprefixed()).toEqual([
      `${receiver.endpoint}: the ${what} cannot be read anew (${name}: no answer within 2500 ms); going on with the last good ones`,
    ]);
    await made.clock.advance(20_000);
    await sendOver(2, made, receiver);
    expect(calls).toBe(3);
    expect(warnings()).toHaveLength(1);
  });

  it('dials at the same time share one call, and a dial that comes while it hangs makes another', async () => {
    const { credentials, clock, answers } = credentialsOf();
    const first = [credentials.login(), credentials.login()];
    await clock.advance(2_499);
    first.push(credentials.login());
    expect(answers).toHaveLength(1);
    await clock.advance(1);
    const second = credentials.login();
    expect(answers).toHaveLength(2);
    answers[1]?.('second');
    expect(await second).toMatchObject({ sharedKey: 'second' });
    answers[0]?.('first');
    // The later call has answered first.
    for (const login of first) expect(await login).toMatchObject({ sharedKey: 'second' });
  });

  it('credentials that are closed leave no timer behind, also for a dial that asks afterwards', async () => {
    const { credentials, clock, answers } = credentialsOf();
    const logins = [credentials.login()];
    credentials.close();
    logins.push(credentials.login());
    expect(clock.timers).toBe(0);
    answers[0]?.('key');
    for (const login of logins) expect(await login).toMatchObject({ sharedKey: 'key' });
  });

  it('a value that comes after its limit is used, unless that of a later call has come', async () => {
    const { credentials, clock, answers } = credentialsOf();
    const next = async () => {
      const login = credentials.login();
      await clock.advance(2_500);
      return (await login)?.sharedKey;
    };
    const first = credentials.login();
    answers[0]?.('first');
    await first;
    expect(await next()).toBe('first');
    answers[1]?.('second');
    await settle();
    expect(await next()).toBe('second');
    const fourth = credentials.login();
    answers[3]?.('fourth');
    await fourth;
    answers[2]?.('third');
    await settle();
    expect(await next()).toBe('fourth');
  });
});

/** Credentials with a shared key whose function answers when the test has it answer. */
function credentialsOf() {
  const clock = new FakeClock();
  const answers: ((sharedKey: string) => void)[] = [];
  const sharedKey = () => new Promise<string>((resolve) => answers.push(resolve));
  const config = resolveExporterConfig({ sharedKey }, {}, () => {});
  return { credentials: new Credentials({ config, clock, diagnostics: new Diagnostics(clock) }), clock, answers };
}

describe('files of certificates and secrets', () => {
  it('a read that hangs stops no other file, and the file is read again once it has ended', async () => {
    const key = new HangingFile('key');
    const ca = new HangingFile(authority.cert);
    const clock = new FakeClock();
    const config = resolveExporterConfig(
      { endpoint: 'tls://fluent', tls: { ca: ca.path } },
      { OTEL_EXPORTER_FLUENT_FORWARD_SHARED_KEY_FILE: key.path },
      () => {},
    );
    const credentials = new Credentials({ config, clock, diagnostics: new Diagnostics(clock) });
    const [login, certificates] = [await credentials.login(), await credentials.certificates()];
    expect(login).toMatchObject({ sharedKey: 'key' });
    ca.hang();
    key.end('renewed key');
    for (let dial = 1; dial <= 3; dial++) {
      const renewed = credentials.certificates();
      await hanging([ca], 1);
      await clock.advance(2_500);
      expect(await renewed).toBe(certificates);
      expect(await credentials.login()).toMatchObject({ sharedKey: 'renewed key' });
    }
    expect(unprefixed()).toEqual([
      `tls://fluent:24224: the certificates cannot be read anew (tls.ca (${ca.path}): no answer within 2500 ms); going on with the last good ones`,
    ]);
    ca.end((await Authority.create('another')).cert);
    await settle();
    const renewed = await credentials.certificates();
    expect(renewed).not.toBe(certificates);
    // A read of the same content makes no other context.
    expect(await credentials.certificates()).toBe(renewed);
  });

  it('at most two reads hang, so that the process has threads left for files and name lookups', async () => {
    const files = ['', '', '', '', ''].map((text) => new HangingFile(text));
    for (const file of files) file.hang();
    const [ca, cert, key, sharedKey, password] = files.map(({ path }) => path);
    const clock = new FakeClock();
    const config = resolveExporterConfig(
      { endpoint: 'tls://fluent', username: 'user', tls: { ca, cert, key } },
      {
        OTEL_EXPORTER_FLUENT_FORWARD_SHARED_KEY_FILE: sharedKey,
        OTEL_EXPORTER_FLUENT_FORWARD_PASSWORD_FILE: password,
      },
      () => {},
    );
    const credentials = new Credentials({ config, clock, diagnostics: new Diagnostics(clock) });
    for (let dial = 1; dial <= 3; dial++) {
      const failures = [credentials.login(), credentials.certificates()].map((value) =>
        value.catch((error: Error) => error.message),
      );
      await clock.advance(10_000);
      expect(await Promise.all(failures)).toEqual([
        expect.stringMatching(/_SHARED_KEY_FILE \(.*\) and .*_PASSWORD_FILE \(.*\): no answer within 10000 ms$/),
        expect.stringMatching(/^tls\.ca \(.*\) and tls\.cert \(.*\) and tls\.key \(.*\): no answer within 10000 ms$/),
      ]);
    }
    await hanging(files, 2);
    await stat(tmpdir());
    await lookup('localhost');
    await hanging(files, 2);
    // The others have their turn once these have ended.
    for (const file of files) file.end('text');
    expect(await credentials.login()).toMatchObject({ sharedKey: 'text', password: 'text' });
  });

  it('at most a thousand wait for a file', async () => {
    const file = new HangingFile('text');
    file.hang();
    const reads = new FileReads();
    const texts = Array.from({ length: 1_000 }, () => reads.read(file.path));
    await expect(reads.read(file.path)).rejects.toThrow('too many wait for this file to be read');
    await hanging([file], 1);
    file.end('ended');
    expect(new Set(await Promise.all(texts))).toEqual(new Set(['ended']));
    expect(await reads.read(file.path)).toBe('ended');
  });
});
