import { describe, expect, it } from 'vitest';
import type { ForwardReceiver } from '../../src/testing/index.ts';
import { exporterFixture } from '../support/exporter-fixture.ts';
import { settle, until } from '../support/fake-clock.ts';

const { listen, start, warnings } = exporterFixture();

const counts = (...receivers: ForwardReceiver[]) => receivers.map(({ entryCount }) => entryCount);

/** A port where nothing listens, until it is listened on. */
async function freePort(): Promise<number> {
  const receiver = await listen();
  const { port } = receiver;
  await receiver.close();
  return port;
}

describe('several endpoints', () => {
  it('share the load over a connection to each', async () => {
    const [a, b] = [await listen(), await listen()];
    const { send } = start({ endpoint: [a.endpoint, b.endpoint], connections: 2 });
    await send('first');
    await until(() => a.openConnections + b.openConnections === 2);
    for (let i = 0; i < 19; i++) expect((await send(i)).code).toBe(0);
    expect(counts(a, b)).toEqual([10, 10]);
  });

  it('come in a string too, with TCP and Unix sockets side by side', async () => {
    const [a, b] = [await listen(), await listen({ path: `/tmp/forward-${process.pid}-endpoints.sock` })];
    const { clock, send } = start({ endpoint: `${a.endpoint},${b.endpoint}`, rotationIntervalMillis: 1_000 });
    await send('first');
    await clock.advance(500);
    await until(() => a.connectionCount + b.connectionCount === 2);
    await send('second');
    expect(counts(a, b)).toEqual([1, 1]);
  });

  it('take a chunk each before one takes a second, whatever their weights', async () => {
    const receivers = [await listen(), await listen(), await listen()];
    const [a, b, c] = receivers as [ForwardReceiver, ForwardReceiver, ForwardReceiver];
    const { clock, send } = start({
      endpoint: [{ url: a.endpoint, weight: 9 }, b.endpoint, c.endpoint],
      connections: 3,
      rotationIntervalMillis: 0,
    });
    // Proves all three: they may have several chunks in flight from now on.
    await Promise.all([send('x'), send('y'), send('z')]);
    for (const receiver of receivers) receiver.messageFaults = () => ({ kind: 'withhold' });
    const results = [send('x'), send('y'), send('z'), send('second')];
    await until(() => counts(...receivers).reduce((sum, count) => sum + count) === 7);
    expect(counts(...receivers)).toEqual([3, 2, 2]);
    for (const receiver of receivers) receiver.messageFaults = [];
    await clock.advance(5_200);
    for (const result of results) expect((await result).code).toBe(0);
  });

  it('have chunks in flight in proportion to their weights', async () => {
    const [a, b] = [await listen(), await listen()];
    const { clock, send } = start({
      endpoint: [{ url: a.endpoint, weight: 3 }, b.endpoint],
      connections: 2,
      rotationIntervalMillis: 0,
    });
    await Promise.all([send('x'), send('y')]);
    for (const receiver of [a, b]) receiver.messageFaults = () => ({ kind: 'withhold' });
    const results = Array.from({ length: 8 }, (_, i) => send(i));
    await until(() => a.entryCount + b.entryCount === 10);
    expect(counts(a, b)).toEqual([1 + 6, 1 + 2]);
    for (const receiver of [a, b]) receiver.messageFaults = [];
    await clock.advance(5_200);
    for (const result of results) expect((await result).code).toBe(0);
  });

  it('get the load that they weigh', async () => {
    const [a, b] = [await listen(), await listen()];
    const { send } = start({ endpoint: [{ url: a.endpoint, weight: 3 }, b.endpoint], connections: 2 });
    await send('first');
    await until(() => a.openConnections + b.openConnections === 2);
    for (let i = 0; i < 39; i++) await send(i);
    expect(counts(a, b)).toEqual([30, 10]);
  });

  it('have their weights in the dials of a single connection, which never stays where it is', async () => {
    const receivers = [await listen(), await listen(), await listen()];
    const [a, b, c] = receivers as [ForwardReceiver, ForwardReceiver, ForwardReceiver];
    const { clock, send } = start({
      endpoint: [`${a.endpoint}?weight=2`, b.endpoint, c.endpoint],
      rotationIntervalMillis: 1_000,
    });
    await send('first');
    await clock.advance(500);
    const route: number[] = [];
    for (let dials = 2; dials <= 17; dials++) {
      await until(() => receivers.reduce((sum, { connectionCount }) => sum + connectionCount, 0) === dials);
      const before = counts(...receivers);
      await send(dials);
      route.push(counts(...receivers).findIndex((count, i) => count > (before[i] ?? 0)));
      await clock.advance(1_000);
    }
    expect(route.filter((receiver, i) => receiver === route[i + 1])).toEqual([]);
    const shares = [0, 1, 2].map((receiver) => route.filter((each) => each === receiver).length);
    expect(Math.abs((shares[0] ?? 0) - 8)).toBeLessThanOrEqual(1);
    expect(Math.abs((shares[1] ?? 0) - (shares[2] ?? 0))).toBeLessThanOrEqual(1);
  });

  it('do without one that cannot be looked up', async () => {
    const receiver = await listen();
    const { send } = start({
      endpoint: [receiver.endpoint, 'tcp://nowhere'],
      resolver: async ({ host }) => {
        if (host === 'nowhere') throw new Error('ENOTFOUND nowhere');
        return [{ address: host }];
      },
    });
    expect((await send('a')).code).toBe(0);
    // It may be misspelt, and would else never be noticed.
    expect(warnings()).toEqual([
      expect.stringMatching(
        /name lookup for tcp:\/\/nowhere:24224 failed \(ENOTFOUND nowhere\); going on with the other endpoints$/,
      ),
    ]);
  });

  it('wait for one whose lookup hangs for half of connectTimeoutMillis', async () => {
    const receiver = await listen();
    const { clock, send } = start({
      endpoint: ['tcp://silent', receiver.endpoint],
      resolver: ({ host }) => (host === 'silent' ? new Promise(() => {}) : Promise.resolve([{ address: host }])),
    });
    const result = send('a');
    await settle();
    await clock.advance(2_499);
    expect(receiver.connectionCount).toBe(0);
    await clock.advance(1);
    expect((await result).code).toBe(0);
  });

  it('that stand for the same address are one receiver', async () => {
    const receiver = await listen();
    const { port } = receiver;
    const { exporter, send } = start({
      endpoint: [`tcp://one:${port}`, `tcp://two:${port}?standby=true`],
      connections: 2,
      resolver: async () => [{ address: '127.0.0.1' }],
    });
    await send('a');
    expect(exporter.stats().addresses).toMatchObject([{ endpoint: `tcp://one:${port}`, isStandby: false }]);
  });

  it('that are a standby and a primary for an address are its primary, in whatever order', async () => {
    const [x, y] = [await listen(), await listen()];
    const { send } = start({
      endpoint: ['tcp://all?standby=true', 'tcp://zone'],
      connections: 2,
      rotationIntervalMillis: 0,
      resolver: async ({ host }) => (host === 'all' ? [x, y] : [x]).map(({ port }) => ({ address: '127.0.0.1', port })),
    });
    for (let i = 0; i < 10; i++) await send(i);
    expect(counts(x, y)).toEqual([10, 0]);
  });

  it('do not compare the priorities of their SRV records, which rank within a name', async () => {
    const [a, b] = [await listen(), await listen()];
    const { clock, send } = start({
      endpoint: ['srv+tcp://_forward._tcp.a.example', 'tcp://b'],
      connections: 2,
      rotationIntervalMillis: 0,
      resolver: async ({ host }) =>
        host === 'b' ? [{ address: '127.0.0.1', port: b.port }] : [{ address: '127.0.0.1', port: a.port, priority: 1 }],
    });
    await Promise.all([send('x'), send('y')]);
    for (let i = 0; i < 10; i++) await send(i);
    expect(counts(a, b)).toEqual([6, 6]);
    // Nor is there a way back from one to the other.
    await clock.advance(60_000);
    expect([a.connectionCount, b.connectionCount]).toEqual([1, 1]);
  });

  it('are two where one is in TLS', async () => {
    const receiver = await listen();
    const place = receiver.endpoint.replace('tcp://', '');
    const { exporter } = start({ endpoint: [`tcp://${place}`, `tls://${place}`] });
    expect(exporter.stats().addresses.map(({ endpoint }) => endpoint)).toEqual([`tcp://${place}`, `tls://${place}`]);
  });

  it('are all named where none has an address', async () => {
    const { clock, send } = start({
      endpoint: 'tcp://a,tcp://b',
      resolver: async ({ host }) => {
        throw new Error(`ENOTFOUND ${host}`);
      },
      timeoutMillis: 500,
    });
    const result = send('x');
    await until(() => warnings().length > 1);
    await clock.advance(500);
    expect((await result).error?.message).toMatch(
      /by tcp:\/\/a:24224,tcp:\/\/b:24224: .*no address for tcp:\/\/a:24224: ENOTFOUND a; no address for tcp:\/\/b:24224: ENOTFOUND b/,
    );
  });
});

describe('a standby endpoint', () => {
  it('gets nothing while a primary is healthy, over many rotations', async () => {
    const [primary, standby] = [await listen(), await listen()];
    const { clock, send } = start({
      endpoint: [{ url: standby.endpoint, standby: true }, primary.endpoint],
      rotationIntervalMillis: 1_000,
      connections: 2,
    });
    for (let i = 0; i < 20; i++) {
      await send(i);
      await clock.advance(500);
    }
    expect(counts(primary, standby)).toEqual([20, 0]);
    expect(primary.connectionCount).toBeGreaterThan(10);
    expect(standby.connectionCount).toBe(0);
  });

  it.each([0, 60_000])(
    'takes over while no primary is healthy, and gives back (rotation %d)',
    async (rotationIntervalMillis) => {
      const [port, standby] = [await freePort(), await listen()];
      const { clock, send } = start({
        endpoint: [`tcp://127.0.0.1:${port}`, `${standby.endpoint}?standby=true`],
        rotationIntervalMillis,
      });
      // At once: no time passes.
      expect((await send('a')).code).toBe(0);
      expect(warnings()).toEqual([]);
      await clock.advance(10_000);
      expect((await send('b')).code).toBe(0);
      const primary = await listen({ port });
      // Tried again within its ejection, which has grown to no more than 16 s by now.
      await clock.advance(16_000);
      await until(() => primary.connectionCount === 1);
      // It has to earn the load by an ack.
      expect((await send('c')).code).toBe(0);
      expect((await send('d')).code).toBe(0);
      await until(() => standby.openConnections === 0);
      expect(counts(standby, primary)).toEqual([2, 2]);
      expect(warnings()).toEqual([]);
    },
  );

  it('is left for a primary whose name could not be looked up before', async () => {
    const [primary, standby] = [await listen(), await listen()];
    let isKnown = false;
    const { clock, send } = start({
      endpoint: ['tcp://primary', 'tcp://standby?standby=true'],
      rotationIntervalMillis: 0,
      resolver: async ({ host }) => {
        if (host === 'primary' && !isKnown) throw new Error('ENOTFOUND primary');
        return [{ address: '127.0.0.1', port: host === 'primary' ? primary.port : standby.port }];
      },
    });
    expect((await send('a')).code).toBe(0);
    await clock.advance(65_000);
    expect([primary.connectionCount, standby.connectionCount]).toEqual([0, 1]);
    isKnown = true;
    for (let i = 0; standby.openConnections > 0 && i < 120; i++) {
      await clock.advance(1_000);
      await send(i);
    }
    expect([primary.openConnections, standby.openConnections]).toEqual([1, 0]);
    expect(clock.now()).toBeLessThanOrEqual(130_000);
  });

  it('is not left for another standby where the primary stays away', async () => {
    const port = await freePort();
    const standbys = [await listen(), await listen()];
    const { clock, exporter, send } = start({
      endpoint: [`tcp://127.0.0.1:${port}`, ...standbys.map(({ endpoint }) => `${endpoint}?standby=true`)],
      rotationIntervalMillis: 0,
    });
    for (let i = 0; i < 60; i++) {
      expect((await send(i)).code).toBe(0);
      await clock.advance(10_000);
    }
    expect(standbys.reduce((sum, { connectionCount }) => sum + connectionCount, 0)).toBe(1);
    expect(exporter.stats().rotations).toBe(0);
    expect(exporter.stats().addresses[0]?.failures).toBeGreaterThan(5);
  });

  it('is left by one connection first, and then by all', async () => {
    const [port, standby] = [await freePort(), await listen()];
    const { clock, send } = start({
      endpoint: [`tcp://127.0.0.1:${port}`, `${standby.endpoint}?standby=true`],
      rotationIntervalMillis: 0,
      connections: 3,
    });
    await send('a');
    await until(() => standby.openConnections === 3);
    const primary = await listen({ port, messageFaults: [{ kind: 'withhold' }] });
    for (let i = 0; primary.connectionCount === 0 && i < 30; i++) await clock.advance(1_000);
    await settle();
    // Not acknowledged yet.
    void send('trial');
    await primary.waitForEntries(1);
    await clock.advance(3_000);
    expect([primary.connectionCount, standby.openConnections]).toEqual([1, 3]);
    // The ack timeout: it has failed the trial, and the next one succeeds.
    await clock.advance(2_000);
    for (let i = 0; standby.openConnections > 0 && i < 60; i++) {
      await clock.advance(1_000);
      expect((await send(i)).code).toBe(0);
    }
    expect([primary.openConnections, standby.openConnections]).toEqual([3, 0]);
  });
});

describe('priorities of SRV records', () => {
  it('are kept as standbys are', async () => {
    const [port, second] = [await freePort(), await listen()];
    const { clock, send } = start({
      endpoint: 'srv+tcp://_forward._tcp.fluent.example',
      resolver: async () => [
        { address: '127.0.0.1', port: second.port, priority: 20 },
        { address: '127.0.0.1', port, priority: 10 },
      ],
    });
    expect((await send('a')).code).toBe(0);
    const first = await listen({ port });
    await clock.advance(2_000);
    await until(() => first.connectionCount === 1);
    expect((await send('b')).code).toBe(0);
    expect(counts(first, second)).toEqual([1, 1]);
  });
});
