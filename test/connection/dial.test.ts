import { createConnection, createServer } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { resolveExporterConfig } from '../../src/config/config.ts';
import { Connection } from '../../src/connection/connection.ts';
import type { ConnectionEvent } from '../../src/connection/connection-event.ts';
import { Credentials } from '../../src/connection/credentials.ts';
import { Dial, type OpenSocket } from '../../src/connection/dial.ts';
import type { Failure } from '../../src/connection/failure.ts';
import { Diagnostics } from '../../src/diagnostics.ts';
import { Addresses } from '../../src/endpoint/addresses.ts';
import type { FluentForwardLogExporterOptions } from '../../src/index.ts';
import { ForwardReceiver, type ForwardReceiverOptions } from '../../src/testing/index.ts';
import { until } from '../support/fake-clock.ts';

async function listen(options?: ForwardReceiverOptions): Promise<ForwardReceiver> {
  const receiver = await ForwardReceiver.listen(options);
  onTestFinished(() => receiver.close());
  return receiver;
}

/** Dials with these options. `connections` counts what the address counts. */
function dialled(options: FluentForwardLogExporterOptions) {
  const config = resolveExporterConfig(options, {}, () => {});
  const shared = { clock: systemClock, random: Math.random, diagnostics: new Diagnostics(systemClock) };
  const { connectTimeoutMillis, endpoint: endpoints, resolver, tls } = config;
  const addresses = new Addresses({
    ...shared,
    endpoints,
    resolver,
    tlsServerName: tls.serverName,
    connectTimeoutMillis,
  });
  const opened: OpenSocket[] = [];
  const failures: Failure[] = [];
  const stages: string[] = [];
  const dial = new Dial({
    findAddress: () => addresses.acquire(undefined),
    release: (address) => addresses.release(address),
    credentials: new Credentials({ ...shared, config }),
    connectTimeoutMillis,
    clock: systemClock,
    onStage: (stage) => stages.push(stage),
    onOpen: (socket) => opened.push(socket),
    onFailure: (failure) => failures.push(failure),
  });
  onTestFinished(() => {
    for (const { socket } of opened) socket.destroy();
    addresses.close();
  });
  return { dial, opened, failures, stages, connections: () => addresses.all.map(({ connections }) => connections) };
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
});
