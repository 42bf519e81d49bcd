import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { encode } from '@msgpack/msgpack';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { Connection } from '../../src/connection/connection.ts';
import type { ConnectionEvent } from '../../src/connection/connection-event.ts';
import type { OpenSocket } from '../../src/connection/dial.ts';
import type { Stage } from '../../src/connection/failure.ts';
import type { FluentForwardLogExporterOptions } from '../../src/index.ts';
import { ReceiverHandshake } from '../../src/testing/security.ts';
import { Authority, type Pair } from '../support/certificates.ts';
import { type Dialled, dialled, listen } from '../support/dialled.ts';
import { FakeClock, settle, until } from '../support/fake-clock.ts';

const CANCELLED = { code: 'FLUENT_FORWARD_CLOSED', reason: 'closed by the exporter' } as const;
const LIMIT_MILLIS = 5_000;
const NO_MESSAGEPACK = Uint8Array.of(0xc1);

let authority: Authority;
let pair: Pair;

beforeAll(async () => {
  authority = await Authority.create();
  pair = await authority.issue();
});

/** A server that reads and says nothing, unless `onClient` does. Counts its clients. */
async function listenRaw(onClient: (socket: Socket) => void = () => {}) {
  const clients = { accepted: 0, open: 0 };
  const server: Server = createServer((socket) => {
    clients.accepted++;
    clients.open++;
    socket.on('close', () => clients.open--).on('error', () => {});
    socket.resume();
    onClient(socket);
  }).listen(0, '127.0.0.1');
  onTestFinished(() => void server.close());
  await until(() => server.listening);
  const { port } = server.address() as { port: number };
  return { clients, port };
}

/** Options of a dial that does not get beyond the stage, and whether the server has lost all its clients. */
async function stuckAt(stage: Stage): Promise<{ options: FluentForwardLogExporterOptions; isClosed: () => boolean }> {
  const never = () => new Promise<never>(() => {});
  if (stage === 'PONG') {
    const handshakeFaults = () => ({ kind: 'withhold', message: 'PONG' }) as const;
    const receiver = await listen({ security: { sharedKey: 'key' }, handshakeFaults });
    const options = { endpoint: receiver.endpoint, sharedKey: 'key' };
    return { options, isClosed: () => receiver.openConnections === 0 };
  }
  const { clients, port } = await listenRaw();
  const isClosed = () => clients.accepted === 1 && clients.open === 0;
  const isUnused = () => clients.accepted === 0;
  const endpoint = `tcp://127.0.0.1:${port}`;
  switch (stage) {
    case 'lookup':
      return { options: { endpoint: `tcp://fluent:${port}`, resolver: never }, isClosed: isUnused };
    case 'credentials':
      return { options: { endpoint, sharedKey: never }, isClosed: isUnused };
    case 'TLS':
      return { options: { endpoint: `tls://127.0.0.1:${port}` }, isClosed };
    default:
      return { options: { endpoint, sharedKey: 'key' }, isClosed };
  }
}

/** Waits until the dial is at the stage. */
async function reached(stage: Stage, { stages }: Dialled): Promise<void> {
  await until(() => stage === 'lookup' || stages.at(-1) === stage);
  await settle();
}

/** Expects that the dial stays as it is: one failure, no socket, and an address that is given back once or never. */
async function expectFailed({ dial, failures, opened, released, connections }: Dialled, releases: number) {
  dial.cancel();
  await settle();
  expect([failures.length, opened.length, released.length]).toEqual([1, 0, releases]);
  expect(connections().every((count) => count === 0)).toBe(true);
}

describe('a dial', () => {
  it('a dial ends in an open socket, whose address counts a connection', async () => {
    const { endpoint } = await listen();
    const { opened, failures, stages, connections, dial } = dialled({ endpoint });
    await until(() => opened.length === 1);
    expect(stages).toEqual(['credentials', 'connect']);
    expect(opened[0]?.handshake).toBeUndefined();
    expect(connections()).toEqual([1]);
    dial.cancel();
    expect([failures, opened[0]?.socket.destroyed]).toEqual([[], false]);
  });

  it('a dial with a shared key opens after the handshake', async () => {
    const { endpoint } = await listen({ security: { sharedKey: 'key' } });
    const { opened, stages } = dialled({ endpoint, sharedKey: 'key' });
    await until(() => opened.length === 1);
    expect(stages).toEqual(['credentials', 'connect', 'HELO', 'PONG']);
    expect(opened[0]?.handshake).toEqual({ isSingleUse: false });
  });

  it.each([
    ['the name has no address', { endpoint: 'tcp://fluent', resolver: async () => [] }, 'FLUENT_FORWARD_LOOKUP_FAILED'],
    [
      'a secret cannot be read',
      {
        endpoint: 'tcp://127.0.0.1:1',
        sharedKey: () => {
          throw new Error('sealed');
        },
      },
      'FLUENT_FORWARD_CREDENTIALS_UNREADABLE',
    ],
    ['nobody listens', { endpoint: 'tcp://127.0.0.1:1' }, 'FLUENT_FORWARD_CONNECT_FAILED'],
  ] as const)('a dial fails once and gives its address back if %s', async (_, options, code) => {
    const { failures, connections, dial } = dialled(options);
    await until(() => failures.length > 0 && connections().every((count) => count === 0));
    dial.cancel();
    expect(failures.map((failure) => failure.code)).toEqual([code]);
  });

  it('a dial fails if the receiver refuses the handshake, and closes the socket', async () => {
    const receiver = await listen({ security: { sharedKey: 'key' } });
    const { failures, connections } = dialled({ endpoint: receiver.endpoint, sharedKey: 'other' });
    await until(() => failures.length > 0);
    expect(failures[0]?.code).toBe('FLUENT_FORWARD_AUTH_FAILED');
    expect(connections()).toEqual([0]);
    await until(() => receiver.openConnections === 0);
  });

  it('a dial that is cancelled during its lookup gives the late address back', async () => {
    let answer: ((addresses: { address: string }[]) => void) | undefined;
    const resolver = () =>
      new Promise<{ address: string }[]>((resolve) => {
        answer = resolve;
      });
    const { dial, failures, connections, opened } = dialled({ endpoint: 'tcp://fluent', resolver });
    await until(() => answer !== undefined);
    dial.cancel();
    expect(failures.map(({ code }) => code)).toEqual(['FLUENT_FORWARD_CLOSED']);
    answer?.([{ address: '127.0.0.1' }]);
    await until(() => connections().length === 1 && connections()[0] === 0);
    expect(opened).toEqual([]);
  });

  it('a dial that is cancelled while it waits for HELO closes its socket', async () => {
    const receiver = await listen();
    const { dial, stages, connections } = dialled({ endpoint: receiver.endpoint, sharedKey: 'key' });
    await until(() => stages.includes('HELO') && receiver.openConnections === 1);
    dial.cancel();
    expect(connections()).toEqual([0]);
    await until(() => receiver.openConnections === 0);
  });

  it('an answer that arrives together with PONG is read by the connection', async () => {
    const behind = await listen({ security: { sharedKey: 'key' } });
    // A proxy that sends HELO again, together with PONG.
    const answers: Buffer[] = [];
    const proxy = createServer((client) => {
      const server = createConnection({ host: '127.0.0.1', port: behind.port });
      client.on('error', () => server.destroy()).on('close', () => server.destroy());
      client.pipe(server);
      server.on('data', (data) => {
        answers.push(data);
        client.write(answers.length === 2 ? Buffer.concat(answers.toReversed()) : data);
      });
      server.on('error', () => {});
    }).listen(0, '127.0.0.1');
    onTestFinished(() => void proxy.close());
    await until(() => proxy.listening);
    const { port } = proxy.address() as { port: number };
    const { opened, failures } = dialled({ endpoint: `tcp://127.0.0.1:${port}`, sharedKey: 'key' });
    await until(() => opened.length === 1);
    const events: ConnectionEvent[] = [];
    const connection = new Connection({
      id: 0,
      dialledAt: 0,
      opened: opened[0] as OpenSocket,
      ackTimeoutMillis: 5_000,
      maxInFlightChunks: 1,
      clock: systemClock,
      onEvent: (event) => events.push(event),
    });
    expect([failures, events]).toEqual([[], []]);
    connection.start();
    expect(events).toMatchObject([{ kind: 'closed', isFault: true, error: { code: 'FLUENT_FORWARD_BAD_ANSWER' } }]);
    expect(events).toMatchObject([{ error: { message: expect.stringContaining('began another handshake') } }]);
  });

  it('a dial in TLS opens after the TLS handshake, with the certificates of this side', async () => {
    const { endpoint } = await listen({ tls: pair });
    const { opened, stages, released } = dialled({ endpoint, tls: { ca: authority.cert } });
    await until(() => opened.length === 1);
    expect(stages).toEqual(['credentials', 'connect', 'TLS']);
    expect(opened[0]?.certificates).toMatchObject({ isVerifying: true, caOrigin: 'tls.ca' });
    expect(opened[0]?.verdict).toBeDefined();
    expect(released).toEqual([]);
  });

  it('a dial in TLS with a shared key passes through every stage', async () => {
    const { endpoint } = await listen({ tls: pair, security: { sharedKey: 'key' } });
    const { opened, stages } = dialled({ endpoint, tls: { ca: authority.cert }, sharedKey: 'key' });
    await until(() => opened.length === 1);
    expect(stages).toEqual(['credentials', 'connect', 'TLS', 'HELO', 'PONG']);
  });

  it('no time limit runs after a dial has opened', async () => {
    const { endpoint } = await listen({ security: { sharedKey: 'key' } });
    const clock = new FakeClock();
    const { opened, failures } = dialled({ endpoint, sharedKey: 'key' }, clock);
    await until(() => opened.length === 1);
    expect(clock.timers).toBe(0);
    await clock.advance(2 * LIMIT_MILLIS);
    expect([failures, opened[0]?.socket.destroyed]).toEqual([[], false]);
  });

  it('a dial reports that the receiver takes one message a connection', async () => {
    const { endpoint } = await listen({ security: { sharedKey: 'key', keepalive: false } });
    const { opened } = dialled({ endpoint, sharedKey: 'key' });
    await until(() => opened.length === 1);
    expect(opened[0]?.handshake).toEqual({ isSingleUse: true });
  });

  it.each([
    ['lookup', 'the name lookup took longer than 5000 ms'],
    ['credentials', 'reading the certificates and secrets took longer than 5000 ms; no answer from sharedKey'],
    ['TLS', 'the TLS handshake took longer than 5000 ms'],
    ['HELO', 'no HELO within 5000 ms'],
    ['PONG', 'no PONG within 5000 ms'],
  ] as const)(
    'a dial that waits at %s fails after the time limit, and gives its address back once',
    async (stage, reason) => {
      const { options, isClosed } = await stuckAt(stage);
      const clock = new FakeClock();
      const made = dialled({ ...options, connectTimeoutMillis: LIMIT_MILLIS }, clock);
      await reached(stage, made);
      await clock.advance(LIMIT_MILLIS - 1);
      expect(made.failures).toEqual([]);
      await clock.advance(1);
      expect(made.failures).toMatchObject([
        { code: 'FLUENT_FORWARD_CONNECT_TIMEOUT', reason: expect.stringContaining(reason) },
      ]);
      await until(isClosed);
      // A secret that is never read holds the address for twice the time.
      await clock.advance(LIMIT_MILLIS);
      await expectFailed(made, stage === 'lookup' ? 0 : 1);
    },
  );

  it.each(['credentials', 'TLS', 'HELO', 'PONG'] as const)(
    'a dial that is cancelled at %s closes its socket, and gives its address back once',
    async (stage) => {
      const { options, isClosed } = await stuckAt(stage);
      const clock = new FakeClock();
      const made = dialled({ ...options, connectTimeoutMillis: LIMIT_MILLIS }, clock);
      await reached(stage, made);
      made.dial.cancel();
      expect(made.failures).toEqual([CANCELLED]);
      await until(isClosed);
      await clock.advance(2 * LIMIT_MILLIS);
      await expectFailed(made, 1);
    },
  );

  it('a dial that is cancelled while it connects closes its socket, and gives its address back once', async () => {
    const { clients, port } = await listenRaw();
    // Node.js begins to connect in the next tick, and the socket is connected in a later turn of the event loop.
    const made = dialled({ endpoint: `tcp://127.0.0.1:${port}`, sharedKey: 'key' }, systemClock, (stage, dial) => {
      if (stage === 'connect') process.nextTick(() => process.nextTick(() => dial().cancel()));
    });
    await until(() => clients.accepted === 1 && clients.open === 0);
    expect(made.stages).toEqual(['credentials', 'connect']);
    expect(made.failures).toEqual([CANCELLED]);
    await expectFailed(made, 1);
  });

  it('a dial that is cancelled while the resolver runs gives the late address back once, and does not connect', async () => {
    const { clients, port } = await listenRaw();
    const answers: ((addresses: { address: string }[]) => void)[] = [];
    const resolver = () => new Promise<{ address: string }[]>((resolve) => answers.push(resolve));
    const made = dialled({ endpoint: `tcp://fluent:${port}`, resolver });
    await until(() => answers.length === 1);
    made.dial.cancel();
    expect([made.failures, made.released]).toEqual([[CANCELLED], []]);
    answers[0]?.([{ address: '127.0.0.1' }]);
    await until(() => made.released.length === 1);
    await expectFailed(made, 1);
    expect([made.stages, clients.accepted]).toEqual([[], 0]);
  });

  it('a dial fails if the server closes the connection before HELO', async () => {
    const { clients, port } = await listenRaw((socket) => socket.end());
    const made = dialled({ endpoint: `tcp://127.0.0.1:${port}`, sharedKey: 'key' });
    await until(() => made.failures.length > 0 && clients.open === 0);
    expect(made.failures).toMatchObject([
      { code: 'FLUENT_FORWARD_CONNECT_FAILED', reason: 'the server closed the connection before it said HELO' },
    ]);
    await expectFailed(made, 1);
  });

  it('a dial fails if the server closes the connection in place of PONG', async () => {
    const receiver = await listen({ security: { sharedKey: 'key', style: 'fluent-bit' } });
    const made = dialled({ endpoint: receiver.endpoint, sharedKey: 'other' });
    await until(() => made.failures.length > 0 && receiver.openConnections === 0);
    expect(made.failures).toMatchObject([
      { code: 'FLUENT_FORWARD_AUTH_FAILED', reason: expect.stringContaining('in place of answering PING') },
    ]);
    await expectFailed(made, 1);
  });

  it('a dial fails if the server does not speak TLS', async () => {
    const { clients, port } = await listenRaw((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
    const made = dialled({ endpoint: `tls://127.0.0.1:${port}` });
    await until(() => made.failures.length > 0 && clients.open === 0);
    expect(made.failures).toMatchObject([
      { code: 'FLUENT_FORWARD_TLS_FAILED', reason: expect.stringContaining('does not answer in TLS') },
    ]);
    expect(made.stages.at(-1)).toBe('TLS');
    await expectFailed(made, 1);
  });

  it('a dial fails if the certificate of the server is by an unknown authority', async () => {
    const receiver = await listen({ tls: pair });
    const made = dialled({ endpoint: receiver.endpoint });
    await until(() => made.failures.length > 0 && receiver.openConnections === 0);
    expect(made.failures).toMatchObject([
      { code: 'FLUENT_FORWARD_TLS_FAILED', reason: expect.stringContaining('by an authority that is not in') },
    ]);
    await expectFailed(made, 1);
  });

  it('a dial fails if the server does not prove that it knows the shared key', async () => {
    const receiver = await listen({ security: { sharedKey: 'key' }, handshakeFaults: [{ kind: 'impostor' }] });
    const made = dialled({ endpoint: receiver.endpoint, sharedKey: 'key' });
    await until(() => made.failures.length > 0 && receiver.openConnections === 0);
    expect(made.failures).toMatchObject([{ code: 'FLUENT_FORWARD_SERVER_UNTRUSTED' }]);
    await expectFailed(made, 1);
  });

  it.each([
    ['HELO', 'an ack', encode({ ack: 'x' }), 'the server answered out of turn, when HELO was due'],
    ['HELO', 'PONG', encode(['PONG', true, '', 'x', 'y']), 'the server answered out of turn, when HELO was due'],
    ['HELO', 'no MessagePack', NO_MESSAGEPACK, 'the server answered with'],
    ['PONG', '{}', encode({}), 'the server answered out of turn, when PONG was due'],
    ['PONG', 'no MessagePack', NO_MESSAGEPACK, 'the server answered with'],
  ] as const)('a dial fails if the server sends, in place of %s, %s', async (message, _, bytes, reason) => {
    const handshakeFaults = [{ kind: 'replace', message, bytes }] as const;
    const receiver = await listen({ security: { sharedKey: 'key' }, handshakeFaults });
    const made = dialled({ endpoint: receiver.endpoint, sharedKey: 'key' });
    await until(() => made.failures.length > 0 && receiver.openConnections === 0);
    expect(made.failures).toMatchObject([
      { code: 'FLUENT_FORWARD_BAD_ANSWER', reason: expect.stringContaining(reason) },
    ]);
    expect(made.stages.at(-1)).toBe(message);
    await expectFailed(made, 1);
  });

  it('bytes that are no answer and arrive together with PONG end the connection, and not the dial', async () => {
    const { port } = await listenRaw((socket) => {
      const handshake = new ReceiverHandshake({ sharedKey: 'key' }, undefined);
      socket.write(handshake.hello());
      socket.once('data', (ping) => {
        const { pong } = handshake.check(ping);
        socket.write(Buffer.concat([pong as Uint8Array, NO_MESSAGEPACK]));
      });
    });
    const { opened, failures } = dialled({ endpoint: `tcp://127.0.0.1:${port}`, sharedKey: 'key' });
    await until(() => opened.length === 1);
    const events: ConnectionEvent[] = [];
    const connection = new Connection({
      id: 0,
      dialledAt: 0,
      opened: opened[0] as OpenSocket,
      ackTimeoutMillis: 5_000,
      maxInFlightChunks: 1,
      clock: systemClock,
      onEvent: (event) => events.push(event),
    });
    expect([failures, events, connection.state]).toEqual([[], [], 'open']);
    connection.start();
    expect(events).toMatchObject([{ kind: 'closed', isFault: true, error: { code: 'FLUENT_FORWARD_BAD_ANSWER' } }]);
    expect(connection.state).toBe('closed');
  });
});
