import { decode } from '@msgpack/msgpack';
import { describe, expect, it } from 'vitest';
import { AnswerReader } from '../../src/protocol/answer.ts';
import { Handshake, type Hello, type Login, MAX_NAME_BYTES, type Pong } from '../../src/protocol/handshake.ts';

const NONCE = Buffer.from('000102030405060708090a0b0c0d0e0f', 'hex');
const AUTH = Buffer.from('f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff', 'hex');
const SALT = '000102030405060708090a0b0c0d0e0f';
const LOGIN: Login = { hostname: 'client', sharedKey: 'kéy', username: 'alice', password: 'p w' };
// Made by another implementation of SHA-512.
const CLIENT_DIGEST =
  'c0c3ac52ce0e5b2c2c6b0b49337d6a4b033c0702ee1638d571a0262e61c2d70d660ed687f97171717ad12f9a382d6070444a01e1c86133112dc06e2bb758b457';
const PASSWORD_DIGEST =
  '4b5aa8d4f59f900ca76d2386f89f2f63ed019e69322b537912cc73c1f945a0793b6d2783fbd0035143a06b27fa1039aa5421368672c7804ba663872835fd3826';
const NO_PASSWORD_DIGEST =
  '50be47578019b172d2c4017cbcd198a0795c34789b0b4e10462c15e4ee6f0d84a0cfbc21a98e9d9ed0348d59e124d73a25f77bebfb22a5f2b5a8e5ea3394b441';
const SERVER_DIGEST =
  'd40bf03f1d86c8da80f0c11008787d3bf7b1c7faf6b72189c0064b78cc5d38ff8fa16fc4b4b6655aff45a8185ce05fc5f576445ee41e073f25210be9817f21f2';

/** Fluent Bit's, byte for byte: str with bytes that are not UTF-8. */
const FLUENT_BIT_HELO = Buffer.from(
  '92a4' +
    hex('HELO') +
    '82a5' +
    hex('nonce') +
    'b0' +
    NONCE.toString('hex') +
    'a4' +
    hex('auth') +
    'b0' +
    AUTH.toString('hex'),
  'hex',
);
/** Fluentd's, byte for byte: bin. */
const FLUENTD_HELO = Buffer.from(
  '92a4' +
    hex('HELO') +
    '83a5' +
    hex('nonce') +
    'c410' +
    NONCE.toString('hex') +
    'a4' +
    hex('auth') +
    'c410' +
    AUTH.toString('hex') +
    'a9' +
    hex('keepalive') +
    'c3',
  'hex',
);

function hex(text: string): string {
  return Buffer.from(text).toString('hex');
}

function helloIn(bytes: Buffer): Hello {
  const [answer] = [...new AnswerReader().push(bytes)];
  if (answer?.kind !== 'hello') throw new Error('no HELO');
  return answer.hello;
}

function pong(changes: Partial<Pong> = {}): Pong {
  return {
    isAccepted: true,
    reason: '',
    hostname: Buffer.from('receiver'),
    digest: Buffer.from(SERVER_DIGEST),
    ...changes,
  };
}

function handshake(login: Partial<Login> = {}): Handshake {
  const made = new Handshake({ ...LOGIN, ...login }, SALT);
  made.ping({ nonce: NONCE, auth: AUTH, keepAlive: true });
  return made;
}

describe('PING', () => {
  it.each([
    ['Fluentd', FLUENTD_HELO],
    ['Fluent Bit', FLUENT_BIT_HELO],
  ])('the PING that answers a HELO is right to the byte, all in str: %s', (_, helo) => {
    const ping = new Handshake(LOGIN, SALT).ping(helloIn(helo));
    const expected = [
      '96',
      `a4${hex('PING')}`,
      `a6${hex('client')}`,
      `d920${hex(SALT)}`,
      `d980${hex(CLIENT_DIGEST)}`,
      `a5${hex('alice')}`,
      `d980${hex(PASSWORD_DIGEST)}`,
    ];
    expect(Buffer.from(ping).toString('hex')).toBe(expected.join(''));
  });

  it('the PING has a password digest even if there is no user', () => {
    const ping = new Handshake({ ...LOGIN, username: '', password: '' }, SALT).ping(helloIn(FLUENTD_HELO));
    expect((decode(ping) as unknown[]).slice(4)).toEqual(['', NO_PASSWORD_DIGEST]);
  });

  it('every PING has a new salt of 16 bytes in hexadecimal digits', () => {
    const salts = [1, 2].map(() => (decode(new Handshake(LOGIN).ping(helloIn(FLUENTD_HELO))) as string[])[2]);
    expect(salts[0]).toMatch(/^[0-9a-f]{32}$/);
    expect(salts[0]).not.toBe(salts[1]);
  });

  it('the PING with the longest names is no larger than Fluent Bit reads', () => {
    const longest = 'x'.repeat(MAX_NAME_BYTES);
    const login = { hostname: longest, username: longest, sharedKey: 'k'.repeat(1024), password: 'p'.repeat(1024) };
    expect(new Handshake(login).ping(helloIn(FLUENT_BIT_HELO)).length).toBeLessThanOrEqual(1023);
  });
});

describe('PONG', () => {
  it('the handshake accepts a PONG whose digest covers salt, server name, nonce and shared key', () => {
    expect(handshake().check(pong())).toBeUndefined();
  });

  it.each<[string, Partial<Pong>, Partial<Login>]>([
    ['a digest of another key', {}, { sharedKey: 'key' }],
    ['a digest for another name', { hostname: Buffer.from('receivers') }, {}],
    ["the client's own digest", { digest: Buffer.from(CLIENT_DIGEST) }, {}],
    ['no digest', { digest: Buffer.alloc(0) }, {}],
    ['half of the digest', { digest: Buffer.from(SERVER_DIGEST.slice(0, 64)) }, {}],
    ['more than the digest', { digest: Buffer.from(`${SERVER_DIGEST}0`) }, {}],
    ['the digest in capitals', { digest: Buffer.from(SERVER_DIGEST.toUpperCase()) }, {}],
    ['the digest in binary', { digest: Buffer.from(SERVER_DIGEST, 'hex') }, {}],
  ])('the handshake reports a possible impostor when the PONG has: %s', (_, changes, login) => {
    expect(handshake(login).check(pong(changes))).toEqual({
      code: 'FLUENT_FORWARD_SERVER_UNTRUSTED',
      reason: 'the server does not prove that it knows the shared key; it may be an impostor, and is sent nothing',
    });
  });

  it('the handshake does not trust a server that has the name of the client', () => {
    const failure = handshake().check(pong({ hostname: Buffer.from('client'), digest: Buffer.from(CLIENT_DIGEST) }));
    expect(failure?.code).toBe('FLUENT_FORWARD_SERVER_UNTRUSTED');
    expect(failure?.reason).toContain('the server calls itself client, as this client does');
  });

  it.each([
    ['shared_key mismatch', 'check sharedKey'],
    ['username/password mismatch', 'check username and password'],
    ["anonymous source host '10.0.0.1' denied", 'look at the <security> section of the server'],
    ['', 'look at the <security> section of the server'],
  ])('the handshake reports the reason when the server refuses the client, with advice: %j', (reason, advice) => {
    expect(handshake().check(pong({ isAccepted: false, reason, digest: Buffer.alloc(0) }))).toEqual({
      code: 'FLUENT_FORWARD_AUTH_FAILED',
      reason: `the server refuses this client: "${reason}"; ${advice}`,
    });
  });

  it('the handshake escapes and shortens the words of the server in its reports', () => {
    const attack = '\u001b[2J\r\nERROR all is lost \u202egnirts\u2028\u0000\u009b';
    const reason = handshake().check(pong({ isAccepted: false, reason: attack.padEnd(70_000, 'x') }))?.reason as string;
    expect(reason).toContain('"\\u{1b}[2J\\u{d}\\u{a}ERROR all is lost \\u{202e}gnirts\\u{2028}\\u{0}\\u{9b}xxx');
    expect(reason.length).toBeLessThan(400);
    const name = handshake({ hostname: 'a\nb' }).check(pong({ hostname: Buffer.from('a\nb') }))?.reason;
    expect(name).toContain('calls itself a\\u{a}b,');
  });
});
