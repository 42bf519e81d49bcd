import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { Decoder, encode } from '@msgpack/msgpack';
import { afterEach, describe, expect, it } from 'vitest';
import { ForwardReceiver, type ForwardReceiverOptions, type ReceiverSecurity } from '../../src/testing/index.ts';
import { Authority } from '../support/certificates.ts';
import { until } from '../support/fake-clock.ts';

const open: { close(): unknown }[] = [];

afterEach(async () => {
  for (const item of open.splice(0)) await item.close();
});

async function listen(options: ForwardReceiverOptions): Promise<ForwardReceiver> {
  const receiver = await ForwardReceiver.listen(options);
  open.push(receiver);
  return receiver;
}

const MESSAGE = ['t', 1_700_000_000, { log: 'x' }, { chunk: 'c' }];
const decoder = new Decoder({ rawStrings: true });

function digest(...parts: (string | Uint8Array)[]): string {
  return parts.reduce((hash, part) => hash.update(part), createHash('sha512')).digest('hex');
}

/** A client that shakes hands by itself, with no code of the package. */
class Client {
  readonly socket: Socket;
  answered = Buffer.alloc(0);
  end: 'FIN' | 'RST' | undefined;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (data) => {
      this.answered = Buffer.concat([this.answered, data]);
    });
    socket.once('end', () => {
      this.end ??= 'FIN';
    });
    socket.once('error', () => {
      this.end ??= 'RST';
    });
    open.push({ close: () => socket.destroy() });
  }

  static to({ port }: ForwardReceiver): Client {
    return new Client(connect(port, '127.0.0.1'));
  }

  get answers(): unknown[] {
    return [...decoder.decodeMulti(this.answered)];
  }

  /** Waits for HELO and gives the PING that answers it. */
  async ping({
    key = 'key',
    salt = 'salt' as string | Uint8Array,
    username = '',
    password = '',
    name = 'client',
  } = {}) {
    await until(() => this.answers.length > 0);
    const [, { nonce, auth }] = this.answers[0] as [unknown, { nonce: Uint8Array; auth: Uint8Array }];
    return encode(['PING', name, salt, digest(salt, name, nonce, key), username, digest(auth, username, password)]);
  }

  async pong(): Promise<unknown[]> {
    await until(() => this.answers.length > 1);
    return (this.answers[1] as unknown[]).map((part) =>
      part instanceof Uint8Array ? Buffer.from(part).toString() : part,
    );
  }
}

/** A PING as Fluent Bit's forward output writes it: all str, and the salt 16 random bytes. */
function fluentBitPing(hello: Uint8Array, login: { key: string; name: Buffer; username: Buffer; password: string }) {
  const [, { nonce, auth }] = decoder.decode(hello) as [unknown, { nonce: Uint8Array; auth: Uint8Array }];
  const { key, name, username, password } = login;
  const digests = [digest(SALT, name, nonce, key), digest(auth, username, password)] as const;
  const short = (bytes: Uint8Array) => Buffer.concat([Buffer.of(0xa0 + bytes.length), bytes]);
  const long = (text: string) => Buffer.concat([Buffer.of(0xd9, text.length), Buffer.from(text)]);
  return Buffer.concat([
    ...[Buffer.of(0x96), short(Buffer.from('PING')), short(name), short(SALT)],
    ...[long(digests[0]), short(username), long(digests[1])],
  ]);
}

/** Not UTF-8: bytes that begin no character, that end within one, and NUL. */
const SALT = Buffer.from('ff80c328e9414200f09f98fe0a0dc0af', 'hex');

const REFUSED_KEY = ['PONG', false, 'shared_key mismatch', '', ''];
const REFUSED_USER = ['PONG', false, 'username/password mismatch', '', ''];

describe('a receiver in the style of Fluentd', () => {
  const security: ReceiverSecurity = { sharedKey: 'key', selfHostname: 'me', users: { alice: 'pw' } };

  it('the Fluentd style sends HELO in bin and says whether it keeps connections', async () => {
    for (const keepalive of [true, false]) {
      const client = Client.to(await listen({ security: { ...security, keepalive } }));
      await until(() => client.answers.length > 0);
      const hex = client.answered.toString('hex');
      const expected =
        /^92a448454c4f83a56e6f6e6365c410[0-9a-f]{32}a461757468c410[0-9a-f]{32}a96b656570616c697665(c[23])$/;
      expect(hex).toMatch(expected);
      expect(expected.exec(hex)?.[1]).toBe(keepalive ? 'c3' : 'c2');
    }
  });

  it('the Fluentd style proves the shared key and takes a message right behind PING', async () => {
    const receiver = await listen({ security });
    const client = Client.to(receiver);
    const ping = await client.ping({ username: 'alice', password: 'pw', salt: Buffer.from('00ff', 'hex') });
    client.socket.write(Buffer.concat([ping, encode(MESSAGE)]));
    const [, { nonce }] = client.answers[0] as [unknown, { nonce: Uint8Array }];
    expect(await client.pong()).toEqual([
      'PONG',
      true,
      '',
      'me',
      digest(Buffer.from('00ff', 'hex'), 'me', nonce, 'key'),
    ]);
    await receiver.waitForEntries(1);
  });

  it.each([
    ['a wrong key', { key: 'other', username: 'alice', password: 'pw' }, REFUSED_KEY],
    ['a wrong password', { username: 'alice', password: 'other' }, REFUSED_USER],
    ['an unknown user', { username: 'bob', password: 'pw' }, REFUSED_USER],
    ['a user named constructor', { username: 'constructor', password: 'pw' }, REFUSED_USER],
  ])('the Fluentd style refuses a bad login in PONG and closes: %s', async (_, login, pong) => {
    const receiver = await listen({ security });
    const refusals: unknown[] = [];
    receiver.on('handshake', (...args) => refusals.push(args));
    const client = Client.to(receiver);
    client.socket.write(Buffer.concat([await client.ping(login), encode(MESSAGE)]));
    expect(await client.pong()).toEqual(pong);
    await until(() => client.end !== undefined);
    expect(receiver.messageCount).toBe(0);
    expect(refusals).toEqual([[0, pong[2]]]);
  });

  it('the Fluentd style refuses anything but a valid PING as the first message', async () => {
    const receiver = await listen({ security });
    for (const message of [MESSAGE, ['PING'], ['PING', 1, 2, 3, 4, 5], { ack: 'x' }, 'PING']) {
      const client = Client.to(receiver);
      client.socket.write(encode(message));
      expect(await client.pong()).toEqual(['PONG', false, 'invalid ping message', '', '']);
      await until(() => client.end !== undefined);
    }
    expect(receiver.messageCount).toBe(0);
  });

  it('the Fluentd style closes a connection after one message without keepalive', async () => {
    const receiver = await listen({ security: { sharedKey: 'key', keepalive: false } });
    const client = Client.to(receiver);
    client.socket.write(await client.ping());
    await client.pong();
    client.socket.write(encode(MESSAGE));
    await until(() => client.end === 'FIN');
    expect(client.answers).toHaveLength(3);
  });
});

describe('a receiver in the style of Fluent Bit', () => {
  const security: ReceiverSecurity = { sharedKey: 'key', selfHostname: 'me', style: 'fluent-bit' };

  it('the Fluent Bit style sends HELO in str, without keepalive', async () => {
    const client = Client.to(await listen({ security }));
    await until(() => client.answers.length > 0);
    expect(client.answered.toString('hex')).toMatch(
      /^92a448454c4f82a56e6f6e6365b0[0-9a-f]{32}a461757468b0[0-9a-f]{32}$/,
    );
  });

  it('the Fluent Bit style drops a message read together with PING and takes one after PONG', async () => {
    const receiver = await listen({ security });
    const client = Client.to(receiver);
    client.socket.write(Buffer.concat([await client.ping(), encode(MESSAGE)]));
    const [, { nonce }] = client.answers[0] as [unknown, { nonce: Uint8Array }];
    expect(await client.pong()).toEqual(['PONG', true, '', 'me', digest('salt', 'me', nonce, 'key')]);
    client.socket.write(encode(['after', ...MESSAGE.slice(1)]));
    await receiver.waitForEntries(1);
    expect(receiver.messages.map(({ tag }) => tag)).toEqual(['after']);
  });

  it.each([
    ['a wrong key', { key: 'other' }],
    ['a salt in bin', { salt: Buffer.from('salt') }],
    ['a PING of more than 1,023 bytes', { name: 'x'.repeat(800) }],
  ])('the Fluent Bit style closes without an answer: %s', async (_, login) => {
    const receiver = await listen({ security });
    const client = Client.to(receiver);
    client.socket.write(await client.ping(login));
    await until(() => client.end !== undefined);
    expect(client.answers).toHaveLength(1);
  });

  it('the Fluent Bit style refuses a wrong password in PONG and closes', async () => {
    const receiver = await listen({ security: { ...security, users: { alice: 'pw' } } });
    const client = Client.to(receiver);
    client.socket.write(await client.ping({ username: 'alice', password: 'other' }));
    expect(await client.pong()).toEqual(REFUSED_USER);
    await until(() => client.end !== undefined);
  });
});

describe('a client that sends str that is not UTF-8', () => {
  it.each(['fluentd', 'fluent-bit'] as const)(
    'the receiver accepts the PING of a Fluent Bit, whose salt is raw bytes in a str, and proves the key: %s',
    async (style) => {
      const receiver = await listen({
        security: { sharedKey: 'key', selfHostname: 'me', users: { alice: 'pw' }, style },
      });
      const client = Client.to(receiver);
      await until(() => client.answers.length > 0);
      const login = { key: 'key', name: Buffer.from('fluent-bit'), username: Buffer.from('alice'), password: 'pw' };
      client.socket.write(fluentBitPing(client.answered, login));
      const [, { nonce }] = client.answers[0] as [unknown, { nonce: Uint8Array }];
      expect(await client.pong()).toEqual(['PONG', true, '', 'me', digest(SALT, 'me', nonce, 'key')]);
      client.socket.write(encode(MESSAGE));
      await receiver.waitForEntries(1);
    },
  );

  it('the receiver hashes a hostname that is not UTF-8 as it came', async () => {
    const receiver = await listen({ security: { sharedKey: 'key' } });
    const client = Client.to(receiver);
    await until(() => client.answers.length > 0);
    const login = {
      key: 'key',
      name: Buffer.from('6873e9', 'hex'),
      username: Buffer.from('b\xe9', 'latin1'),
      password: '',
    };
    client.socket.write(fluentBitPing(client.answered, login));
    expect((await client.pong()).slice(0, 3)).toEqual(['PONG', true, '']);
  });

  it('the Fluentd style accepts a PING whose parts are all bin', async () => {
    const receiver = await listen({ security: { sharedKey: 'key', users: { alice: 'pw' } } });
    const client = Client.to(receiver);
    const ping = await client.ping({ username: 'alice', password: 'pw' });
    client.socket.write(encode(decoder.decode(ping)));
    expect((await client.pong()).slice(0, 3)).toEqual(['PONG', true, '']);
  });
});

describe('handshake faults', () => {
  const security: ReceiverSecurity = { sharedKey: 'key', selfHostname: 'me' };

  it('the receiver proves another key or reflects the PING if the handshake fault says so', async () => {
    const receiver = await listen({ security, handshakeFaults: [{ kind: 'impostor' }, { kind: 'reflect' }] });
    const [impostor, reflector] = [Client.to(receiver), Client.to(receiver)];
    await until(() => receiver.connectionCount === 2);
    impostor.socket.write(await impostor.ping({ key: 'other' }));
    const [, { nonce }] = impostor.answers[0] as [unknown, { nonce: Uint8Array }];
    const pong = await impostor.pong();
    expect(pong.slice(0, 4)).toEqual(['PONG', true, '', 'me']);
    expect(pong[4]).toMatch(/^[0-9a-f]{128}$/);
    expect(pong[4]).not.toBe(digest('salt', 'me', nonce, 'key'));
    const ping = await reflector.ping({ key: 'other' });
    reflector.socket.write(ping);
    const [, name, , proof] = decoder.decode(ping) as Uint8Array[];
    expect(await reflector.pong()).toEqual([
      'PONG',
      true,
      '',
      String(Buffer.from(name as Uint8Array)),
      String(Buffer.from(proof as Uint8Array)),
    ]);
  });

  it('the receiver takes a new list of handshake faults and shakes hands normally after its end', async () => {
    const bytes = encode({ odd: 1 });
    const receiver = await listen({ security });
    receiver.handshakeFaults = [
      { kind: 'replace', message: 'HELO', bytes },
      { kind: 'refuse', reason: 'because' },
    ];
    const first = Client.to(receiver);
    await until(() => first.answers.length === 1);
    expect(first.answers).toEqual([{ odd: 1 }]);
    const second = Client.to(receiver);
    second.socket.write(await second.ping());
    expect(await second.pong()).toEqual(['PONG', false, 'because', '', '']);
    const third = Client.to(receiver);
    third.socket.write(await third.ping());
    expect((await third.pong())[1]).toBe(true);
  });
});

describe('a receiver in TLS', () => {
  it('the receiver serves, resets and closes its connections in TLS', async () => {
    const authority = await Authority.create();
    const receiver = await listen({ tls: await authority.issue() });
    expect(receiver.endpoint).toBe(`tls://127.0.0.1:${receiver.port}`);
    const dial = () =>
      new Client(connectTls({ port: receiver.port, host: '127.0.0.1', ca: authority.cert, servername: '' }));
    const [first, second, third] = [dial(), dial(), dial()];
    for (const client of [first, second, third]) client.socket.write(encode(MESSAGE));
    await until(() => [first, second, third].every(({ answers }) => answers.length === 1));
    receiver.resetConnection(receiver.messages[0]?.connection as number);
    await until(() => [first, second, third].filter(({ end }) => end === 'RST').length === 1);
    receiver.resetConnections();
    await until(() => [first, second, third].every(({ end }) => end === 'RST'));
    const shaking = connect(receiver.port, '127.0.0.1');
    const closed = new Promise((done) => shaking.once('close', done));
    shaking.on('error', () => {});
    await new Promise((done) => shaking.once('connect', done));
    await receiver.close();
    await closed;
  });

  it('the receiver does not start with a certificate that cannot be read', async () => {
    await expect(listen({ tls: { cert: 'no PEM', key: 'no PEM' } })).rejects.toThrow();
  });

  it('the receiver resets the right one of two TLS connections that have the same remote port', async () => {
    const authority = await Authority.create();
    const receiver = await listen({ tls: await authority.issue() });
    const raw = async (localAddress: string, localPort?: number) => {
      const socket = connect({ port: receiver.port, host: '127.0.0.1', localAddress, ...(localPort && { localPort }) });
      await once(socket, 'connect');
      return socket;
    };
    const sockets = [await raw('127.0.0.1')];
    sockets.push(await raw('127.0.0.2', sockets[0]?.localPort));
    const clients: Client[] = [];
    for (const socket of sockets) {
      const client = new Client(connectTls({ socket, ca: authority.cert, host: '127.0.0.1', servername: '' }));
      client.socket.write(encode(MESSAGE));
      await until(() => client.answers.length === 1);
      clients.push(client);
    }
    const [first, second] = clients as [Client, Client];
    receiver.resetConnection(0);
    await until(() => first.end === 'RST');
    second.socket.write(encode(MESSAGE));
    await until(() => second.answers.length === 2);
    receiver.resetConnections();
    await until(() => second.end === 'RST');
  });

  it('the receiver can reset a TLS connection whose client has reset it at the end of its handshake', async () => {
    const authority = await Authority.create();
    const receiver = await listen({ tls: await authority.issue() });
    const served = once(receiver, 'connection');
    const socket = connect(receiver.port, '127.0.0.1');
    const client = connectTls({ socket, ca: authority.cert, host: '127.0.0.1', servername: '' });
    client.on('error', () => {}).once('secureConnect', () => setImmediate(() => socket.resetAndDestroy()));
    await served;
    receiver.resetConnection(0);
    receiver.resetConnections();
    await until(() => receiver.openConnections === 0);
  });
});
