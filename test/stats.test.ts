import { describe, expect, it } from 'vitest';
import { exporterFixture, named } from './support/exporter-fixture.ts';
import { settle, until } from './support/fake-clock.ts';
import { exportBodies } from './support/harness.ts';

const { listen, log, start, warnings } = exporterFixture();
const NOTHING = { records: 0, bytes: 0, rawBytes: 0 };
/** Too large for any message. */
const OVERSIZE = Array.from({ length: 30 }, () => 'x'.repeat(262_000));

describe('stats()', () => {
  it('begins with nothing', () => {
    const { exporter } = start({ endpoint: 'tcp://127.0.0.1:1' });
    expect(exporter.stats()).toEqual({
      sent: NOTHING,
      acknowledged: NOTHING,
      resent: NOTHING,
      failed: {},
      droppedRecords: 0,
      filteredRecords: 0,
      inFlightBytes: 0,
      rotations: 0,
      lastError: undefined,
      connections: [],
      addresses: [
        {
          endpoint: 'tcp://127.0.0.1:1',
          address: '127.0.0.1:1',
          isStandby: false,
          weight: 1,
          health: 'healthy',
          failures: 0,
          ejectedForMillis: 0,
          connections: 0,
        },
      ],
    });
  });

  it('counts records and bytes as they are sent and acknowledged', async () => {
    const receiver = await listen({ messageFaults: [undefined, { kind: 'withhold' }] });
    const { clock, exporter, send } = start({ endpoint: receiver.endpoint });
    await send('a', 'b');
    void send('c', OVERSIZE);
    await receiver.waitForEntries(3);
    await clock.advance(250);
    const bytes = receiver.messages.map((message) => message.bytes);
    expect(exporter.stats()).toMatchObject({
      sent: { records: 3, bytes: (bytes[0] ?? 0) + (bytes[1] ?? 0) },
      acknowledged: { records: 2, bytes: bytes[0] },
      resent: NOTHING,
      failed: {},
      droppedRecords: 1,
      inFlightBytes: 1024,
      connections: [
        {
          endpoint: receiver.endpoint,
          address: `127.0.0.1:${receiver.port}`,
          state: 'open',
          ageMillis: 250,
          inFlightChunks: 1,
        },
      ],
      addresses: [{ address: `127.0.0.1:${receiver.port}`, health: 'healthy', connections: 1 }],
    });
  });

  it('is a snapshot', async () => {
    const receiver = await listen();
    const { exporter, send } = start({ endpoint: receiver.endpoint });
    const before = exporter.stats();
    await send('a');
    expect(before.sent).toEqual(NOTHING);
    expect(before.connections).toEqual([]);
  });

  it('counts each resend, and tells the last error with its time', async () => {
    const receiver = await listen({ messageFaults: [{ kind: 'reset', when: 'before ack' }] });
    const { clock, exporter, send } = start({ endpoint: receiver.endpoint });
    clock.wall = [1_700_000_042, 500_000_000];
    const result = send('a', 'b');
    await until(() => warnings().length > 0);
    expect(exporter.stats()).toMatchObject({
      lastError: {
        code: 'FLUENT_FORWARD_CONNECTION_LOST',
        message: expect.stringContaining('the server reset the connection'),
        time: new Date('2023-11-14T22:14:02.500Z'),
      },
      addresses: [{ health: 'ejected', failures: 1, ejectedForMillis: expect.closeTo(750), connections: 0 }],
      connections: [],
    });
    await clock.advance(100);
    await result;
    const { sent, resent, acknowledged, lastError, addresses } = exporter.stats();
    expect(sent.records).toBe(2);
    expect(resent).toEqual(sent);
    expect(acknowledged).toEqual(sent);
    expect(lastError?.code).toBe('FLUENT_FORWARD_CONNECTION_LOST');
    expect(addresses).toMatchObject([{ health: 'healthy', failures: 0, ejectedForMillis: 0 }]);
  });

  it('says which address may be tried again', async () => {
    const { clock, exporter, send } = start({ endpoint: 'tcp://127.0.0.1:1', timeoutMillis: 50 });
    const result = send('a');
    await until(() => warnings().length > 1);
    await clock.advance(5_000);
    await result;
    expect(exporter.stats().addresses).toMatchObject([{ health: 'unproven', ejectedForMillis: 0 }]);
  });

  it('counts failed records by the code of the error, and no record twice', async () => {
    const receiver = await listen({ messageFaults: [undefined, { kind: 'withhold' }] });
    const { clock, exporter, send } = start({
      endpoint: receiver.endpoint,
      maxChunkBytes: 2048,
      maxInFlightBytes: 4096,
      timeoutMillis: 1_000,
      rotationIntervalMillis: 0,
    });
    // Two chunks, of which one is acknowledged; and one record that no message can hold.
    const partly = send('x'.repeat(1_500), 'y'.repeat(1_500), OVERSIZE);
    await receiver.waitForEntries(2);
    const over = await send('z');
    await clock.advance(1_000);
    await partly;
    await send(OVERSIZE);
    await exporter.shutdown();
    await exportBodies(exporter, 1, 2, 3);
    expect(over.error?.code).toBe('FLUENT_FORWARD_IN_FLIGHT_LIMIT');
    const { failed, acknowledged, droppedRecords, connections } = exporter.stats();
    const bytes = receiver.messages[1]?.bytes;
    expect(failed).toEqual({
      FLUENT_FORWARD_IN_FLIGHT_LIMIT: { ...NOTHING, records: 1 },
      FLUENT_FORWARD_CHUNK_REFUSED: { records: 1, bytes, rawBytes: bytes },
      FLUENT_FORWARD_UNENCODABLE: NOTHING,
      FLUENT_FORWARD_SHUT_DOWN: { ...NOTHING, records: 3 },
    });
    expect([acknowledged.records, droppedRecords, connections]).toEqual([1, 2, []]);
  });

  it('shows a rotation, and both connections during it', async () => {
    const [a, b] = [await listen(), await listen()];
    const { clock, exporter, send } = start({ ...named(a, b), rotationIntervalMillis: 1_000 });
    await send('a');
    await clock.advance(500);
    await until(() => a.openConnections + b.openConnections === 2);
    await settle();
    expect(exporter.stats().connections.map(({ state, ageMillis }) => [state, ageMillis])).toEqual([
      ['open', 500],
      ['open', 0],
    ]);
    await send('b');
    expect(exporter.stats()).toMatchObject({ rotations: 1, connections: [{ state: 'open' }] });
  });
});

describe('the end of an outage is told', () => {
  const told = () =>
    log.filter(([level, text]) => level === 'info' && text.includes(' again ')).map(([, text]) => text);

  it('once, when what was lost is sent again, with what became of it', async () => {
    const receiver = await listen();
    const { clock, send } = start({ endpoint: receiver.endpoint, maxChunkBytes: 2048, timeoutMillis: 10_000 });
    const { port } = receiver;
    await send('proof');
    receiver.messageFaults = () => ({ kind: 'withhold' });
    const inFlight = [send('x'.repeat(1_500), 'y'.repeat(1_500)), send('z')];
    await receiver.waitForEntries(4);
    await receiver.close();
    await until(() => warnings().length > 0);
    await clock.advance(5_000);
    const later = send('later');
    await clock.advance(5_000);
    for (const result of inFlight) expect((await result).code).toBe(1);
    await listen({ port });
    await clock.advance(5_000);
    expect((await later).code).toBe(0);
    expect(told()).toHaveLength(1);
    expect(told()[0]).toMatch(
      /connected to tcp:\/\/127\.0\.0\.1:\d+ again after 1\d\.\d s, 0 records resent, 3 failed$/,
    );
  });

  it('not before the last of what was lost is sent again', async () => {
    const [a, b] = [await listen(), await listen()];
    const { clock, send } = start({ ...named(a, b), connections: 2, maxInFlightChunks: 3 });
    await Promise.all([send('x'), send('y')]);
    for (const receiver of [a, b]) receiver.messageFaults = () => ({ kind: 'withhold' });
    const results = Array.from({ length: 6 }, (_, i) => send(i));
    await until(() => a.entryCount + b.entryCount === 8);
    await b.close();
    a.messageFaults = [];
    a.resetConnections();
    await until(() => a.openConnections === 0 && warnings().length > 0);
    await settle();
    // One connection is left: the first chunk is alone on it until its ack, and then there is room for three.
    await clock.advance(100);
    for (const result of results) expect((await result).code).toBe(0);
    expect(told()).toEqual([expect.stringMatching(/again after 0\.\d s, 6 records resent, 0 failed$/)]);
  });

  it('only where its begin was', async () => {
    const receiver = await listen();
    const { clock, send } = start({ endpoint: receiver.endpoint, rotationIntervalMillis: 0 });
    for (let outage = 0; outage < 3; outage++) {
      receiver.messageFaults = [{ kind: 'reset', when: 'before ack' }];
      const result = send(outage);
      await until(() => receiver.messageCount === 2 * outage + 1 && receiver.openConnections === 0);
      await settle();
      await clock.advance(100);
      expect((await result).code).toBe(0);
      // The warnings of a minute are one.
      if (outage === 1) await clock.advance(60_000);
    }
    expect(warnings()).toHaveLength(2);
    expect(told()).toHaveLength(2);
  });
});
