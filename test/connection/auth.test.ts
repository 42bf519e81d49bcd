import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encode } from '@msgpack/msgpack';
import { describe, expect, it } from 'vitest';
import type { FluentForwardLogExporterOptions } from '../../src/index.ts';
import type { ForwardReceiver, HandshakeFault, ReceiverSecurity } from '../../src/testing/index.ts';
import { advanceUntil, disconnected, exporterFixture, named, sendOver } from '../support/exporter-fixture.ts';
import { settle, until } from '../support/fake-clock.ts';
import type { Result } from '../support/harness.ts';

const { listen, start, warnings, log } = exporterFixture();

const STYLES = ['fluentd', 'fluent-bit'] as const;
const KEY = { sharedKey: 'a shared kéy' };
const USERS = { alice: 'p w', bob: 'x' };

const TIMEOUT_MILLIS = 8_000;

/** Exports one record to a receiver that ends each connection, until the export times out. */
async function fail(receiver: ForwardReceiver, options: FluentForwardLogExporterOptions): Promise<Result> {
  const made = start({ endpoint: receiver.endpoint, timeoutMillis: TIMEOUT_MILLIS, ...options });
  let isDone = false;
  const result = made.send('not for everybody').finally(() => {
    isDone = true;
  });
  await until(() => warnings().length > 0);
  await advanceUntil(made, 500, () => isDone);
  return result;
}

/** Exports one record to a receiver that lets each handshake hang, until the export times out. */
async function hang(
  receiver: ForwardReceiver,
  options: FluentForwardLogExporterOptions,
  isHanging: () => boolean,
): Promise<Result> {
  const { clock, send } = start({ endpoint: receiver.endpoint, timeoutMillis: TIMEOUT_MILLIS, ...options });
  const result = send('not for everybody');
  await until(isHanging);
  await settle();
  await clock.advance(TIMEOUT_MILLIS);
  return result;
}

describe.each(STYLES)('a receiver in the style of %s', (style) => {
  const security: ReceiverSecurity = { ...KEY, style };

  it('the exporter with the right shared key delivers over several connections', async () => {
    const receiver = await listen({ security });
    const made = start({ endpoint: receiver.endpoint, ...KEY, rotationIntervalMillis: 1_000 });
    expect((await made.send('a')).code).toBe(0);
    await made.clock.advance(500);
    await sendOver(1, made, receiver);
    expect(warnings()).toEqual([]);
  });

  it('the exporter with the right username and password delivers', async () => {
    const receiver = await listen({ security: { ...security, users: USERS } });
    const { send } = start({ endpoint: receiver.endpoint, ...KEY, username: 'alice', password: 'p w' });
    expect((await send('a')).code).toBe(0);
  });

  it.each([
    ['a wrong password', { username: 'alice', password: 'x' }],
    ['an unknown user', { username: 'mallory', password: 'x' }],
    ['no user', {}],
  ])('the exporter reports the refusal of its login at once: %s', async (_, user) => {
    const receiver = await listen({ security: { ...security, users: USERS } });
    const { error } = await fail(receiver, { ...KEY, ...user });
    expect(error?.cause).toMatchObject({
      code: 'FLUENT_FORWARD_AUTH_FAILED',
      message: `${receiver.endpoint}: the server refuses this client: "username/password mismatch"; check username and password`,
    });
    expect(warnings()[0]).toMatch(
      /mismatch"; check username and password; 1 record\(s\) wait, and the next try is in \d+ ms$/,
    );
    expect(receiver.messageCount).toBe(0);
    // Refusals are followed by a backoff, like any fault.
    expect(receiver.connectionCount).toBeGreaterThan(2);
    expect(receiver.connectionCount).toBeLessThan(12);
  });

  it('the exporter reports the refusal of a wrong shared key', async () => {
    const receiver = await listen({ security });
    const refusals: (string | undefined)[] = [];
    receiver.on('handshake', (_, refusal) => refusals.push(refusal));
    const { error } = await fail(receiver, { sharedKey: 'another' });
    expect(error?.code).toBe('FLUENT_FORWARD_TIMEOUT');
    expect(error?.cause).toMatchObject({
      code: 'FLUENT_FORWARD_AUTH_FAILED',
      message: {
        fluentd: `${receiver.endpoint}: the server refuses this client: "shared_key mismatch"; check sharedKey`,
        'fluent-bit': `${receiver.endpoint}: the server closed the connection in place of answering PING, as Fluent Bit does when the shared key is wrong; check sharedKey`,
      }[style],
    });
    expect(new Set(refusals)).toEqual(new Set(['shared_key mismatch']));
    expect(receiver.messageCount).toBe(0);
  });

  it('the exporter without a shared key reports that the receiver wants one, and calls no chunk refused', async () => {
    const receiver = await listen({ security });
    const { error } = await fail(receiver, {});
    expect(error?.code).toBe('FLUENT_FORWARD_TIMEOUT');
    expect(error?.cause).toMatchObject({ code: 'FLUENT_FORWARD_AUTH_FAILED' });
    expect(warnings()[0]).toMatch(
      /the server sent HELO: it wants a shared key; set sharedKey or OTEL_EXPORTER_FLUENT_FORWARD_SHARED_KEY/,
    );
    expect(warnings().join()).not.toContain('refuse it');
  });

  it('the exporter connects once the right shared key is in the key file', async () => {
    const receiver = await listen({ security });
    const path = join(mkdtempSync(join(tmpdir(), 'key-')), 'key');
    writeFileSync(path, 'the old key\n');
    process.env.OTEL_EXPORTER_FLUENT_FORWARD_SHARED_KEY_FILE = path;
    const { clock, send } = start({ endpoint: receiver.endpoint });
    delete process.env.OTEL_EXPORTER_FLUENT_FORWARD_SHARED_KEY_FILE;
    const result = send('a');
    await until(() => warnings().length > 0);
    expect(warnings()[0]).toContain('check sharedKey');
    writeFileSync(path, `${KEY.sharedKey}\n`);
    await clock.advance(100);
    expect((await result).code).toBe(0);
    expect(log.filter(([, text]) => text.includes('connected to'))).toEqual([
      ['info', expect.stringContaining(`connected to ${receiver.endpoint}`)],
      ['warn', expect.stringMatching(/connected to .* again after/)],
    ]);
  });

  it('the exporter sends no record before PONG', async () => {
    const receiver = await listen({ security, handshakeFaults: () => ({ kind: 'withhold', message: 'PONG' }) });
    let received = 0;
    receiver.on('invalid', () => received++);
    let passed = false;
    receiver.once('handshake', () => {
      passed = true;
    });
    const { error } = await hang(receiver, KEY, () => passed);
    expect(error?.cause).toMatchObject({
      code: 'FLUENT_FORWARD_CONNECT_TIMEOUT',
      message: `${receiver.endpoint}: no PONG within 5000 ms: the server does not answer the authentication`,
    });
    expect([receiver.messageCount, received]).toEqual([0, 0]);
  });

  it('the exporter reports no refusal if the receiver closes before HELO', async () => {
    const receiver = await listen({ security, connectionFaults: () => ({ kind: 'close', afterBytes: 0 }) });
    const { error } = await fail(receiver, KEY);
    expect(error?.cause).toMatchObject({
      code: 'FLUENT_FORWARD_CONNECT_FAILED',
      message: `${receiver.endpoint}: the server closed the connection before it said HELO`,
    });
  });

  it('the exporter accepts a HELO and a PONG that arrive byte by byte', async () => {
    const receiver = await listen({
      security,
      handshakeFaults: [
        { kind: 'drip', message: 'HELO', millis: 0 },
        { kind: 'drip', message: 'PONG', millis: 0 },
      ],
    });
    const made = start({ endpoint: receiver.endpoint, ...KEY, rotationIntervalMillis: 1_000 });
    expect((await made.send('a')).code).toBe(0);
    await made.clock.advance(500);
    // The old connection takes the records until the new one has shaken hands.
    await sendOver(1, made, receiver);
    expect(warnings()).toEqual([]);
  });

  it.each(['HELO', 'PONG'] as const)(
    'the exporter ends a dial if a message is incomplete after connectTimeoutMillis: %s',
    async (message) => {
      const receiver = await listen({ security, handshakeFaults: () => ({ kind: 'drip', message, millis: 1_000 }) });
      let isDripping = false;
      receiver.once(message === 'HELO' ? 'connection' : 'handshake', () => {
        isDripping = true;
      });
      const ended: number[] = [];
      receiver.on('disconnect', (connection) => ended.push(connection));
      const { error } = await hang(receiver, KEY, () => isDripping);
      expect(error?.cause).toMatchObject({
        code: 'FLUENT_FORWARD_CONNECT_TIMEOUT',
        message: expect.stringContaining(`no ${message} within 5000 ms`),
      });
      await until(() => ended.includes(0));
    },
  );

  it.each<[string, HandshakeFault, string]>([
    ['no proof of the shared key', { kind: 'impostor' }, 'does not prove that it knows the shared key'],
    ["the client's own digest", { kind: 'reflect' }, 'the server calls itself me, as this client does'],
  ])('the exporter sends no record to an untrusted server: %s', async (_, fault, reason) => {
    const receiver = await listen({ security, handshakeFaults: () => fault });
    const { error } = await fail(receiver, { ...KEY, hostname: 'me' });
    expect(error?.cause).toMatchObject({
      code: 'FLUENT_FORWARD_SERVER_UNTRUSTED',
      message: expect.stringContaining(reason),
    });
    expect(warnings()[0]).toContain(reason);
    expect(receiver.messageCount).toBe(0);
    expect(receiver.connectionCount).toBeGreaterThan(1);
  });

  it('the exporter does not trust a server with the hostname of the client', async () => {
    const receiver = await listen({ security: { ...security, selfHostname: 'same' } });
    const { error } = await fail(receiver, { ...KEY, hostname: 'same' });
    expect(error?.cause).toMatchObject({ code: 'FLUENT_FORWARD_SERVER_UNTRUSTED' });
    expect(receiver.messageCount).toBe(0);
  });

  it.each<[string, 'HELO' | 'PONG', Uint8Array, RegExp]>([
    ['an ack', 'HELO', encode({ ack: 'x' }), /answered out of turn, when HELO was due/],
    ['a PONG', 'HELO', encode(['PONG', true, '', 'h', 'd']), /answered out of turn, when HELO was due/],
    ['an ack', 'PONG', encode({ ack: 'x' }), /answered out of turn, when PONG was due/],
    ['a refusal', 'PONG', encode({}), /answered out of turn, when PONG was due/],
    ['a HELO', 'PONG', encode(['HELO', { nonce: Buffer.of(1), auth: Buffer.of(1) }]), /out of turn, when PONG/],
    ['a HELO without nonce', 'HELO', encode(['HELO', {}]), /answered with a HELO without nonce and auth/],
    ['a PONG without digest', 'PONG', encode(['PONG', true]), /answered with a PONG of another form/],
    ['a PONG that is not quite true', 'PONG', encode(['PONG', 'true', '', 'h', 'd']), /a PONG of another form/],
    ['no MessagePack', 'HELO', Buffer.from([0xc1]), /answered with the byte 0xc1, which is no MessagePack/],
    ['a web page', 'HELO', Buffer.from('HTTP/1.1 400\r\n\r\n'), /answered with a value that is neither map nor array/],
    ['100 MB', 'HELO', Buffer.from('92a448454c4fdb05f5e100', 'hex'), /a message of more than 65536 bytes/],
    ['a deep hole', 'PONG', Buffer.alloc(40, 0x91), /nested deeper than 32/],
  ])('the exporter ends a dial on a wrong handshake message: %s in place of %s', async (_, message, bytes, warning) => {
    const receiver = await listen({ security, handshakeFaults: () => ({ kind: 'replace', message, bytes }) });
    const { error } = await fail(receiver, KEY);
    expect(error?.cause).toMatchObject({ code: 'FLUENT_FORWARD_BAD_ANSWER', message: expect.stringMatching(warning) });
    expect(receiver.messageCount).toBe(0);
  });

  it('the exporter closes a connection that sends HELO again after the handshake', async () => {
    const helo = encode(['HELO', { nonce: Buffer.of(1), auth: Buffer.of(1) }]);
    const receiver = await listen({ security, messageFaults: [{ kind: 'garbage', bytes: helo }] });
    const { clock, send } = start({ endpoint: receiver.endpoint, ...KEY });
    const result = send('a');
    await until(() => warnings().length > 0);
    expect(warnings()[0]).toContain('the server began another handshake');
    await clock.advance(100);
    expect((await result).code).toBe(0);
  });

  it('exports do not wait for the handshake of a successor connection', async () => {
    const receiver = await listen({ security });
    receiver.handshakeFaults = [undefined, { kind: 'withhold', message: 'PONG' }];
    const { clock, send } = start({ endpoint: receiver.endpoint, ...KEY, rotationIntervalMillis: 20_000 });
    expect((await send('a')).code).toBe(0);
    await clock.advance(10_000);
    await until(() => receiver.connectionCount === 2);
    // No time passes on the clock: what had to wait for the handshake would wait for ever.
    for (let i = 0; i < 20; i++) expect((await send(i)).code).toBe(0);
    expect(receiver.messages.every(({ connection }) => connection === 0)).toBe(true);
    await clock.advance(5_000);
    await until(() => receiver.openConnections === 1);
    expect((await send('b')).code).toBe(0);
  });

  it('the exporter reports a refused successor and keeps the connection in use', async () => {
    const receiver = await listen({ security });
    receiver.handshakeFaults = [undefined, { kind: 'refuse', reason: 'shared_key mismatch' }];
    const made = start({ endpoint: receiver.endpoint, ...KEY, rotationIntervalMillis: 1_000 });
    const { clock, send } = made;
    expect((await send('a')).code).toBe(0);
    await clock.advance(500);
    await until(() => warnings().length > 0);
    expect(warnings()[0]).toMatch(/"shared_key mismatch"; check sharedKey; the connection in use stays$/);
    expect((await send('b')).code).toBe(0);
    expect(receiver.messages.map(({ connection }) => connection)).toEqual([0, 0]);
    // The next rotation succeeds.
    await clock.advance(1_100);
    await sendOver(2, made, receiver);
    expect(log.some(([, text]) => text.includes(' again '))).toBe(false);
  });

  it('the exporter reports one refusing receiver at once and delivers to another', async () => {
    const [good, bad] = [await listen({ security }), await listen({ security: { sharedKey: 'other', style } })];
    const made = start({ ...named(bad, good), ...KEY });
    made.chance = 0.25;
    const sent: number[] = [];
    for (let i = 0; i < 4; i++) {
      sent.push((await made.send(i)).code);
      for (const receiver of [good, bad]) receiver.resetConnections();
      await disconnected(made);
    }
    expect(sent).toEqual([0, 0, 0, 0]);
    expect(bad.connectionCount).toBeGreaterThan(0);
    expect(warnings().filter((text) => text.includes('check sharedKey'))).toHaveLength(1);
  });
});

describe('receivers without keepalive', () => {
  it('the exporter opens a connection for each message if HELO forbids keepalive', async () => {
    const receiver = await listen({ security: { ...KEY, keepalive: false } });
    const { send } = start({ endpoint: receiver.endpoint, ...KEY });
    const results = await Promise.all(Array.from({ length: 10 }, (_, i) => send(i)));
    expect(results.map(({ code }) => code)).toEqual(Array(10).fill(0));
    expect(receiver.messages.map(({ connection }) => connection)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(receiver.connectionCount).toBe(10);
    expect(warnings()).toEqual([]);
  });

  it('the exporter sends no second message if a receiver without keepalive does not close', async () => {
    const receiver = await listen({
      security: { ...KEY, keepalive: false },
      messageFaults: () => ({ kind: 'repeat', times: 1 }),
    });
    const { send } = start({ endpoint: receiver.endpoint, ...KEY });
    for (let i = 0; i < 3; i++) expect((await send(i)).code).toBe(0);
    expect(receiver.messages.map(({ connection }) => connection)).toEqual([0, 1, 2]);
    await until(() => receiver.openConnections === 0);
  });
});

describe('the shared key', () => {
  it('shutdown leaves no timer behind while the shared key is still being read', async () => {
    const receiver = await listen({ security: KEY });
    let reads = 0;
    const sharedKey = () => (++reads === 1 ? Promise.resolve(KEY.sharedKey) : new Promise<string>(() => {}));
    const { clock, exporter, send } = start({ endpoint: receiver.endpoint, sharedKey, rotationIntervalMillis: 1_000 });
    await send('a');
    await clock.advance(500);
    await until(() => reads === 2);
    await exporter.shutdown();
    // The limit for the end of the first connection runs until that is closed.
    await until(() => clock.timers === 0);
  });

  it('the exporter reports what to do if the server wants no shared key', async () => {
    const receiver = await listen();
    const { error } = await hang(receiver, KEY, () => receiver.connectionCount === 1);
    expect(error?.cause).toMatchObject({
      code: 'FLUENT_FORWARD_CONNECT_TIMEOUT',
      message:
        `${receiver.endpoint}: no HELO within 5000 ms: the server wants no shared key; remove sharedKey, ` +
        'or add <security> (Fluentd) or shared_key (Fluent Bit) there; or does it speak TLS, as tls:// would?',
    });
    expect(receiver.messageCount).toBe(0);
  });

  it('log messages and errors escape control characters from the server', async () => {
    const reason = '\u001b[31mshared_key\u001b[0m\nmismatch\u202e';
    const receiver = await listen({ security: KEY, handshakeFaults: () => ({ kind: 'refuse', reason }) });
    const { error } = await fail(receiver, KEY);
    const cause = error?.cause as Error;
    for (const text of [
      ...log.map(([, text]) => text),
      String(error?.message),
      cause.message,
      String(cause.stack).split('\n')[0],
    ]) {
      expect(text).not.toMatch(/[\p{Cc}\p{Cf}]/u);
    }
    expect(cause.message).toContain('"\\u{1b}[31mshared_key\\u{1b}[0m\\u{a}mismatch\\u{202e}"; check sharedKey');
  });
});
