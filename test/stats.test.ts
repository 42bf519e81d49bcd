import { describe, expect, it } from 'vitest';
import { advanceUntil, connected, disconnected, exporterFixture, named } from './support/exporter-fixture.ts';
import { until } from './support/fake-clock.ts';
import { exportBodies, type Result } from './support/harness.ts';
import { HeldAck } from './support/held-ack.ts';
import { freePort } from './support/receiver-process.mjs';

const { listen, log, start, warnings } = exporterFixture();
const NOTHING = { records: 0, bytes: 0, rawBytes: 0 };
/** Too large for any message. */
const OVERSIZE = Array.from({ length: 30 }, () => 'x'.repeat(262_000));

describe('stats()', () => {
  it('all counts are zero before the first export', () => {
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

  it('records and bytes are counted as they are sent and acknowledged', async () => {
    const receiver = await listen({ messageFaults: [undefined, { kind: 'withhold' }] });
    const { clock, exporter, send } = start({ endpoint: receiver.endpoint });
    await send('a', 'b');
    void send('c', OVERSIZE);
    await until(() => receiver.entryCount === 3);
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

  it('later exports do not change the object that stats has returned', async () => {
    const receiver = await listen();
    const { exporter, send } = start({ endpoint: receiver.endpoint });
    const before = exporter.stats();
    await send('a');
    expect(before.sent).toEqual(NOTHING);
    expect(before.connections).toEqual([]);
  });

  it('stats counts each resend and contains the last error with its time', async () => {
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

  it('the health of a failed address is unproven once it may be dialled again', async () => {
    const { clock, exporter, send } = start({ endpoint: 'tcp://127.0.0.1:1', timeoutMillis: 50 });
    const result = send('a');
    await until(() => warnings().length > 1);
    await clock.advance(5_000);
    await result;
    expect(exporter.stats().addresses).toMatchObject([{ health: 'unproven', ejectedForMillis: 0 }]);
  });

  it('failed records are counted by error code and no record is counted twice', async () => {
    const receiver = await listen({ messageFaults: [undefined, { kind: 'withhold' }] });
    const { clock, exporter, send } = start({
      endpoint: receiver.endpoint,
      maxChunkBytes: 2048,
      // As much as the chunk holds that is not acknowledged.
      maxInFlightBytes: 1_792,
      timeoutMillis: 1_000,
      rotationIntervalMillis: 0,
    });
    // Two chunks, of which one is acknowledged, and one record that no message can hold.
    const partly = send('x'.repeat(1_500), 'y'.repeat(1_500), OVERSIZE);
    await until(() => receiver.entryCount === 2);
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
      FLUENT_FORWARD_TIMEOUT: { records: 1, bytes, rawBytes: bytes },
      FLUENT_FORWARD_UNENCODABLE: NOTHING,
      FLUENT_FORWARD_SHUT_DOWN: { ...NOTHING, records: 3 },
    });
    expect([acknowledged.records, droppedRecords, connections]).toEqual([1, 2, []]);
  });

  it('stats counts a rotation and lists both connections while it goes on', async () => {
    const [a, b] = [await listen(), await listen()];
    const made = start({ ...named(a, b), rotationIntervalMillis: 1_000 });
    const { clock, exporter, send } = made;
    await send('a');
    await clock.advance(500);
    await connected(made, 2);
    expect(exporter.stats().connections.map(({ state, ageMillis }) => [state, ageMillis])).toEqual([
      ['open', 500],
      ['open', 0],
    ]);
    await send('b');
    expect(exporter.stats()).toMatchObject({ rotations: 1, connections: [{ state: 'open' }] });
  });
});

describe('the message about the end of an outage', () => {
  const recoveries = () =>
    log.filter(([level, text]) => level === 'warn' && text.includes(' again after ')).map(([, text]) => text);

  it('the exporter logs once that an outage has ended with the numbers of resent and failed records', async () => {
    const port = await freePort();
    const receiver = await listen({ port });
    const made = start({ endpoint: receiver.endpoint, maxChunkBytes: 2048, timeoutMillis: 10_000 });
    const { clock, send } = made;
    await send('proof');
    receiver.messageFaults = () => ({ kind: 'withhold' });
    const inFlight = [send('x'.repeat(1_500), 'y'.repeat(1_500)), send('z')];
    await until(() => receiver.entryCount === 4);
    await receiver.close();
    await until(() => warnings().length > 0);
    await clock.advance(5_000);
    let laterResult: Result | undefined;
    void send('later').then((result) => {
      laterResult = result;
    });
    await clock.advance(5_000);
    for (const result of inFlight) expect((await result).code).toBe(1);
    await listen({ port });
    await advanceUntil(made, 100, () => laterResult !== undefined);
    expect(laterResult?.code).toBe(0);
    expect(recoveries()).toHaveLength(1);
    expect(recoveries()[0]).toMatch(
      /connected to tcp:\/\/127\.0\.0\.1:\d+ again after 1\d\.\d s, 0 records resent, 3 failed$/,
    );
  });

  it('the exporter logs the end of an outage only after every lost chunk is resent', async () => {
    const [a, b] = [await listen(), await listen()];
    const made = start({ ...named(a, b), connections: 2, maxInFlightChunks: 3 });
    const { clock, send } = made;
    // While the acks are held each connection takes one chunk. Afterwards both take three.
    const held = new HeldAck();
    for (const receiver of [a, b]) receiver.messageFaults = [held.fault];
    const first = [send('x'), send('y')];
    await until(() => a.entryCount === 1 && b.entryCount === 1);
    held.release();
    await Promise.all(first);
    for (const receiver of [a, b]) receiver.messageFaults = () => ({ kind: 'withhold' });
    const results = Array.from({ length: 6 }, (_, i) => send(i));
    await until(() => a.entryCount + b.entryCount === 8);
    await b.close();
    a.messageFaults = [];
    a.resetConnections();
    await disconnected(made);
    // One connection is left: the first chunk is alone on it until its ack, and then there is room for three.
    await clock.advance(100);
    for (const result of results) expect((await result).code).toBe(0);
    expect(recoveries()).toEqual([expect.stringMatching(/again after 0\.\d s, 6 records resent, 0 failed$/)]);
  });

  it('the exporter logs the end of an outage only if it has logged the beginning', async () => {
    const receiver = await listen();
    const made = start({ endpoint: receiver.endpoint, rotationIntervalMillis: 0 });
    const { clock, send } = made;
    for (let outage = 0; outage < 3; outage++) {
      receiver.messageFaults = [{ kind: 'reset', when: 'before ack' }];
      const result = send(outage);
      await until(() => receiver.messageCount === 2 * outage + 1);
      await disconnected(made);
      await clock.advance(100);
      expect((await result).code).toBe(0);
      // The exporter logs the same warning once a minute.
      if (outage === 1) await clock.advance(60_000);
    }
    expect(warnings().filter((text) => !recoveries().includes(text))).toHaveLength(2);
    expect(recoveries()).toHaveLength(2);
  });
});
