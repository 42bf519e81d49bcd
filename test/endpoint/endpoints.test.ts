import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { ForwardReceiver } from '../../src/testing/index.ts';
import { connected, exporterFixture } from '../support/exporter-fixture.ts';
import { settle, until } from '../support/fake-clock.ts';
import type { Harness } from '../support/harness.ts';
import { HeldAck } from '../support/held-ack.ts';
import { freePort } from '../support/receiver-process.mjs';

const { listen, start, warnings } = exporterFixture();

const counts = (...receivers: ForwardReceiver[]) => receivers.map(({ entryCount }) => entryCount);

/** Has each connection carry one chunk, whose ack comes when all have theirs: none takes a second one before. */
async function proveEach({ send }: Harness, receivers: readonly ForwardReceiver[]): Promise<void> {
  const ack = new HeldAck();
  for (const receiver of receivers) receiver.messageFaults = () => ack.fault;
  const results = receivers.map((_, i) => send(`proof ${i}`));
  await until(() => receivers.every(({ entryCount }) => entryCount === 1));
  for (const receiver of receivers) receiver.messageFaults = [];
  ack.release();
  for (const result of results) expect((await result).code).toBe(0);
}

describe('several endpoints', () => {
  it('two connections go to two endpoints and share the load', async () => {
    const [a, b] = [await listen(), await listen()];
    const made = start({ endpoint: [a.endpoint, b.endpoint], connections: 2 });
    const { send } = made;
    await send('first');
    await connected(made, 2);
    for (let i = 0; i < 19; i++) expect((await send(i)).code).toBe(0);
    expect(counts(a, b)).toEqual([10, 10]);
  });

  it('the endpoint option accepts a string with TCP and Unix sockets side by side', async () => {
    const path = join(mkdtempSync(join(tmpdir(), 'endpoints-')), 'forward.sock');
    const [a, b] = [await listen(), await listen({ path })];
    const made = start({ endpoint: `${a.endpoint},${b.endpoint}`, rotationIntervalMillis: 1_000 });
    const { clock, send } = made;
    await send('first');
    await clock.advance(500);
    await connected(made, 2);
    await send('second');
    expect(counts(a, b)).toEqual([1, 1]);
  });

  it('each endpoint takes one chunk before any takes a second, whatever the weights', async () => {
    const receivers = [await listen(), await listen(), await listen()];
    const [a, b, c] = receivers as [ForwardReceiver, ForwardReceiver, ForwardReceiver];
    const made = start({
      endpoint: [{ url: a.endpoint, weight: 9 }, b.endpoint, c.endpoint],
      connections: 3,
      rotationIntervalMillis: 0,
    });
    const { clock, send } = made;
    // They may have several chunks in flight from now on.
    await proveEach(made, receivers);
    for (const receiver of receivers) receiver.messageFaults = () => ({ kind: 'withhold' });
    const results = [send('x'), send('y'), send('z'), send('second')];
    await until(() => counts(...receivers).reduce((sum, count) => sum + count) === 7);
    expect(counts(...receivers)).toEqual([3, 2, 2]);
    for (const receiver of receivers) receiver.messageFaults = [];
    await clock.advance(5_200);
    for (const result of results) expect((await result).code).toBe(0);
  });

  it('endpoints have chunks in flight in proportion to their weights', async () => {
    const [a, b] = [await listen(), await listen()];
    const made = start({
      endpoint: [{ url: a.endpoint, weight: 3 }, b.endpoint],
      connections: 2,
      rotationIntervalMillis: 0,
    });
    const { clock, send } = made;
    await proveEach(made, [a, b]);
    for (const receiver of [a, b]) receiver.messageFaults = () => ({ kind: 'withhold' });
    const results = Array.from({ length: 8 }, (_, i) => send(i));
    await until(() => a.entryCount + b.entryCount === 10);
    expect(counts(a, b)).toEqual([1 + 6, 1 + 2]);
    for (const receiver of [a, b]) receiver.messageFaults = [];
    await clock.advance(5_200);
    for (const result of results) expect((await result).code).toBe(0);
  });

  it('endpoints get records in proportion to their weights', async () => {
    const [a, b] = [await listen(), await listen()];
    const made = start({ endpoint: [{ url: a.endpoint, weight: 3 }, b.endpoint], connections: 2 });
    const { send } = made;
    await send('first');
    await connected(made, 2);
    for (let i = 0; i < 39; i++) await send(i);
    expect(counts(a, b)).toEqual([30, 10]);
  });

  it('a single connection dials endpoints by weight and never one endpoint twice in a row', async () => {
    const receivers = [await listen(), await listen(), await listen()];
    const [a, b, c] = receivers as [ForwardReceiver, ForwardReceiver, ForwardReceiver];
    const made = start({
      endpoint: [`${a.endpoint}?weight=2`, b.endpoint, c.endpoint],
      rotationIntervalMillis: 1_000,
    });
    const { clock, send } = made;
    await send('first');
    await clock.advance(500);
    const route: number[] = [];
    for (let dials = 2; dials <= 17; dials++) {
      await until(() => receivers.reduce((sum, { connectionCount }) => sum + connectionCount, 0) === dials);
      // The one in use, and its successor.
      await connected(made, 2);
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

  it('the exporter goes on without an endpoint that cannot be looked up, and warns', async () => {
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

  it('a dial waits half of connectTimeoutMillis for an endpoint whose lookup hangs', async () => {
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

  it('two endpoints with the same address count as one receiver', async () => {
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

  it('an address of a standby and a primary endpoint counts as primary, in any order', async () => {
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

  it('the exporter compares SRV priorities within a name and not between endpoints', async () => {
    const [a, b] = [await listen(), await listen()];
    const made = start({
      endpoint: ['srv+tcp://_forward._tcp.a.example', 'tcp://b'],
      connections: 2,
      rotationIntervalMillis: 0,
      resolver: async ({ host }) =>
        host === 'b' ? [{ address: '127.0.0.1', port: b.port }] : [{ address: '127.0.0.1', port: a.port, priority: 1 }],
    });
    const { clock, send } = made;
    await proveEach(made, [a, b]);
    for (let i = 0; i < 10; i++) await send(i);
    expect(counts(a, b)).toEqual([6, 6]);
    // Nor is there a way back from one to the other.
    await clock.advance(60_000);
    expect([a.connectionCount, b.connectionCount]).toEqual([1, 1]);
  });

  it('the same address with TLS and without TLS counts as two receivers', async () => {
    const receiver = await listen();
    const place = receiver.endpoint.replace('tcp://', '');
    const { exporter } = start({ endpoint: [`tcp://${place}`, `tls://${place}`] });
    expect(exporter.stats().addresses.map(({ endpoint }) => endpoint)).toEqual([`tcp://${place}`, `tls://${place}`]);
  });

  it('the error names all endpoints if none has an address', async () => {
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

describe('standby endpoints', () => {
  it('a standby gets no connection while a primary is healthy, over many rotations', async () => {
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
    'a standby takes over while no primary is healthy and gives back later: rotationIntervalMillis %d',
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

  it('the exporter leaves a standby once the name of the primary can be looked up', async () => {
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

  it('the exporter keeps its connection to a standby while the primary stays away', async () => {
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

  it('one connection leaves a standby first, and all follow after an ack of the primary', async () => {
    const [port, standby] = [await freePort(), await listen()];
    const made = start({
      endpoint: [`tcp://127.0.0.1:${port}`, `${standby.endpoint}?standby=true`],
      rotationIntervalMillis: 0,
      connections: 3,
    });
    const { clock, send } = made;
    await send('a');
    await connected(made, 3);
    await until(() => standby.openConnections === 3);
    const primary = await listen({ port, messageFaults: [{ kind: 'withhold' }] });
    for (let i = 0; primary.connectionCount === 0 && i < 30; i++) await clock.advance(1_000);
    await settle();
    // Not acknowledged yet.
    void send('trial');
    await until(() => primary.entryCount === 1);
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

describe('SRV priorities', () => {
  it('the exporter returns to the preferred SRV priority once its address is reachable', async () => {
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
