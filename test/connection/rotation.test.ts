import { describe, expect, it } from 'vitest';
import type { ForwardReceiver } from '../../src/testing/index.ts';
import { connected, exporterFixture, named, textOf } from '../support/exporter-fixture.ts';
import { settle, until } from '../support/fake-clock.ts';
import type { Harness, harness } from '../support/harness.ts';

const INTERVAL = 1_000;
const { listen, start: startExporter, warnings } = exporterFixture();

/** With a first rotation after half an interval, and later ones after a whole one. */
function start(options: Parameters<typeof harness>[0]): Harness {
  return startExporter({ rotationIntervalMillis: INTERVAL, ...options });
}

/** Which connection brought each message, in the order of arrival. */
const connectionsOf = (receiver: ForwardReceiver) => receiver.messages.map(({ connection }) => connection);

describe('rotation', () => {
  it('rotation replaces a connection in use once a chunk is acknowledged on the successor', async () => {
    const receiver = await listen();
    const made = start({ endpoint: receiver.endpoint });
    const { clock, send } = made;
    await send('a');
    await clock.advance(INTERVAL / 2);
    await connected(made, 2);
    await until(() => receiver.connectionCount === 2);
    expect(receiver.openConnections).toBe(2);
    await send('b');
    await until(() => receiver.openConnections === 1);
    await send('c');
    expect(connectionsOf(receiver)).toEqual([0, 1, 1]);
    expect(warnings()).toEqual([]);
  });

  it('each rotation follows one interval after the last takeover', async () => {
    const receiver = await listen();
    const made = start({ endpoint: receiver.endpoint });
    const { clock, send } = made;
    await send('first');
    await clock.advance(INTERVAL / 2);
    for (let rotation = 1; rotation <= 5; rotation++) {
      await until(() => receiver.connectionCount === rotation + 1);
      await connected(made, 2);
      await send(rotation);
      await clock.advance(INTERVAL - 1);
      await send('still');
      expect(receiver.connectionCount).toBe(rotation + 1);
      await clock.advance(1);
    }
    await until(() => receiver.openConnections <= 2);
    expect(new Set(receiver.messages.map(({ chunk }) => chunk)).size).toBe(receiver.messages.length);
  });

  it('the first rotation comes anywhere within the interval, later ones vary by 10 percent', async () => {
    for (const [chance, firstAt, nextAfter] of [
      [0, INTERVAL, INTERVAL * 0.9],
      [0.75, INTERVAL / 4, INTERVAL * 1.05],
      [0.99, INTERVAL / 100, INTERVAL * 1.098],
    ] as const) {
      const receiver = await listen();
      const made = start({ endpoint: receiver.endpoint });
      made.chance = chance;
      await made.send('a');
      await made.clock.advance(firstAt - 1);
      await settle();
      expect(receiver.connectionCount).toBe(1);
      await made.clock.advance(1);
      await until(() => receiver.connectionCount === 2);
      await connected(made, 2);
      await made.send('b');
      await made.clock.advance(nextAfter - 1);
      await made.send('c');
      await settle();
      expect(receiver.connectionCount).toBe(2);
      await made.clock.advance(1);
      await until(() => receiver.connectionCount === 3);
    }
  });

  it('the first rotations of several connections are staggered over the interval', async () => {
    const [a, b] = [await listen(), await listen()];
    const { clock, send } = start({ ...named(a, b), connections: 2 });
    const total = () => a.connectionCount + b.connectionCount;
    // The second connection opens once the first has shown that there is a receiver.
    await send('a');
    await Promise.all([send('b'), send('c')]);
    await until(() => total() === 2);
    await clock.advance(INTERVAL / 4);
    await until(() => total() === 3);
    await clock.advance(INTERVAL / 2 - 1);
    await settle();
    expect(total()).toBe(3);
    await clock.advance(1);
    await until(() => total() === 4);
  });

  it('no connection is replaced if rotationIntervalMillis is 0', async () => {
    const receiver = await listen();
    const { clock, send } = start({ endpoint: receiver.endpoint, rotationIntervalMillis: 0 });
    await send('a');
    await clock.advance(10 * 60_000);
    await send('b');
    expect(receiver.connectionCount).toBe(1);
  });

  it('the old connection takes chunks until one is acknowledged on the successor', async () => {
    const receiver = await listen();
    const made = start({ endpoint: receiver.endpoint, ackTimeoutMillis: 5_000 });
    const { clock, send } = made;
    await send('a');
    receiver.messageFaults = ({ connection }) => (connection === 1 ? { kind: 'withhold' } : undefined);
    await clock.advance(INTERVAL / 2);
    await connected(made, 2);
    const probe = send('probe');
    await until(() => receiver.messageCount === 2);
    for (const body of ['b', 'c', 'd']) expect((await send(body)).code).toBe(0);
    expect(connectionsOf(receiver)).toEqual([0, 1, 0, 0, 0]);

    // No ack: the chunk goes over the old connection, which stays.
    await clock.advance(5_100);
    expect((await probe).code).toBe(0);
    await until(() => receiver.openConnections >= 1);
    expect(receiver.messages.filter(({ connection }) => connection === 0).length).toBe(5);
    const [first, again] = receiver.messages.filter((message) => textOf(message) === 'probe');
    expect(again?.chunk).toBe(first?.chunk);
  });

  it('an idle connection gets a successor, and both close after two idle intervals', async () => {
    const receiver = await listen();
    const { clock, send } = start({ endpoint: receiver.endpoint });
    await send('a');
    await clock.advance(INTERVAL / 2);
    await until(() => receiver.connectionCount === 2);
    await clock.advance(INTERVAL * 1.5 - 1);
    await settle();
    expect(receiver.openConnections).toBe(2);
    await clock.advance(1);
    await until(() => receiver.openConnections === 0);
    expect(clock.timers).toBe(0);
    expect((await send('b')).code).toBe(0);
    expect(receiver.connectionCount).toBe(3);
    expect(warnings()).toEqual([]);
  });

  it('rotation looks the name up again and prefers another address', async () => {
    const [a, b, c] = [await listen(), await listen(), await listen()];
    const behind = [a];
    let lookups = 0;
    const made = start({
      endpoint: 'tcp://fluent',
      resolver: async () => {
        lookups++;
        return behind.map(({ port }) => ({ address: '127.0.0.1', port }));
      },
    });
    const { clock, send } = made;
    await send('a');
    behind.push(b, c);
    await clock.advance(INTERVAL / 2);
    await until(() => b.connectionCount + c.connectionCount === 1);
    await connected(made, 2);
    await send('b');
    await clock.advance(INTERVAL);
    await until(() => a.connectionCount + b.connectionCount + c.connectionCount === 3);
    await connected(made, 2);
    await send('c');
    expect(lookups).toBe(3);
    expect([a, b, c].map(({ entryCount }) => entryCount)).toEqual([1, 1, 1]);
  });

  it('rotation keeps the number of connections on each address', async () => {
    const [a, b] = [await listen(), await listen()];
    const made = start({ ...named(a, b), connections: 2 });
    await made.send('a');
    await Promise.all([made.send('b'), made.send('c')]);
    await until(() => a.connectionCount === 1 && b.connectionCount === 1);
    for (let rotation = 1; rotation <= 6; rotation++) {
      await made.clock.advance(INTERVAL / 2);
      await Promise.all([made.send('x'), made.send('y'), made.send('z')]);
      await until(() => a.openConnections + b.openConnections === 2);
      expect([a.openConnections, b.openConnections]).toEqual([1, 1]);
    }
    expect(a.connectionCount).toBeGreaterThan(2);
    expect(b.connectionCount).toBeGreaterThan(2);
  });

  it('rotation tries the next address at once and without a warning if a dial fails', async () => {
    // Nothing listens on port 1.
    const [a, b] = [await listen(), await listen()];
    const ports = [a.port, 1, b.port];
    const made = start({
      endpoint: 'tcp://fluent',
      resolver: async () => ports.map((port) => ({ address: '127.0.0.1', port })),
    });
    await made.send('a');
    await made.clock.advance(INTERVAL / 2);
    // No time passes between the dial that fails and the next.
    await until(() => b.connectionCount === 1);
    await connected(made, 2);
    expect((await made.send('b')).code).toBe(0);
    expect([a.entryCount, b.entryCount]).toEqual([1, 1]);
    expect(warnings()).toEqual([]);
  });

  it('rotation uses the last good answer while lookups fail, hang or return nothing usable', async () => {
    const receiver = await listen();
    let answer: () => Promise<unknown> = async () => [{ address: '127.0.0.1', port: receiver.port }];
    const made = start({
      endpoint: 'tcp://fluent',
      connectTimeoutMillis: INTERVAL,
      resolver: () => answer() as Promise<{ address: string; port: number }[]>,
    });
    const { clock, send } = made;
    await send('a');
    await clock.advance(INTERVAL / 2);
    let connections = 2;
    for (const bad of [
      async () => {
        throw new Error('SERVFAIL');
      },
      async () => [],
      async () => [{ address: '', port: 0 }],
      async () => 'nonsense',
    ]) {
      await until(() => receiver.connectionCount === connections);
      await connected(made, 2);
      expect((await send('x')).code).toBe(0);
      answer = bad;
      await clock.advance(INTERVAL);
      connections++;
      await until(() => receiver.connectionCount === connections);
    }
    // The exporter waits for a lookup that hangs for half of connectTimeoutMillis.
    answer = () => new Promise(() => {});
    await connected(made, 2);
    await send('x');
    await clock.advance(INTERVAL);
    expect((await send('y')).code).toBe(0);
    expect(receiver.connectionCount).toBe(connections);
    await clock.advance(INTERVAL / 2);
    await until(() => receiver.connectionCount === connections + 1);
    await connected(made, 2);
    await send('z');
    await clock.advance(INTERVAL * 1.5);
    await until(() => receiver.connectionCount === connections + 2);
    expect(warnings().length).toBe(1);
    expect(warnings()[0]).toMatch(
      /name lookup for tcp:\/\/fluent:24224 failed \(SERVFAIL\); going on with the last answer/,
    );
  });

  it('the successor takes over at once if the old connection dies', async () => {
    const receiver = await listen({ messageFaults: [undefined, { kind: 'close', when: 'before ack' }] });
    const made = start({ endpoint: receiver.endpoint, connections: 1, maxInFlightChunks: 2 });
    const { clock, send } = made;
    await send('a');
    await clock.advance(INTERVAL / 2);
    await connected(made, 2);
    await until(() => receiver.openConnections === 2);
    // The successor gets the first of the two and is closed for it. The old connection goes on.
    const results = [send('b'), send('c')];
    await until(() => warnings().length > 0);
    await settle();
    await clock.advance(100);
    for (const result of results) expect((await result).code).toBe(0);

    await clock.advance(INTERVAL);
    await connected(made, 2);
    await until(() => receiver.openConnections === 2);
    const successor = receiver.connectionCount - 1;
    const old = receiver.messages.at(-1)?.connection;
    expect(old).not.toBe(successor);
    receiver.resetConnection(old ?? -1);
    await connected(made, 1);
    expect((await send('d')).code).toBe(0);
    expect(receiver.messages.at(-1)?.connection).toBe(successor);
  });

  it('rotation waits while two old connections still wait for acks', async () => {
    const receiver = await listen();
    const made = start({ endpoint: receiver.endpoint, ackTimeoutMillis: 20_000, maxInFlightChunks: 4 });
    const { clock, send } = made;
    await send('first');
    for (const connection of [1, 2]) {
      // One chunk stays unanswered on the old connection, and another is acknowledged on the successor.
      receiver.messageFaults = (message) => (message.connection < connection ? { kind: 'withhold' } : undefined);
      const messages = receiver.messageCount;
      void send('unanswered');
      await until(() => receiver.messageCount === messages + 1);
      await clock.advance(INTERVAL);
      await until(() => receiver.connectionCount === connection + 1);
      await until(() => made.exporter.stats().connections.filter(({ state }) => state === 'open').length === 2);
      await send('probe');
    }
    await clock.advance(INTERVAL);
    await settle();
    await send('x');
    expect(receiver.connectionCount).toBe(3);
  });
});
