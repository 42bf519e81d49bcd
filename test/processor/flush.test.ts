import { describe, expect, it } from 'vitest';
import type { ForwardReceiver } from '../../src/testing/index.ts';
import { exporterFixture } from '../support/exporter-fixture.ts';
import { settle, until } from '../support/fake-clock.ts';
import { HeldAck } from '../support/held-ack.ts';
import { expectAccounted, startProcessor } from '../support/processor-fixture.ts';
import { freePort } from '../support/receiver-process.mjs';

const { listen, log, warnings } = exporterFixture();

const FLUSH_TIMEOUT_MILLIS = 10_000;
const messages = ({ entries }: ForwardReceiver) =>
  entries.map(({ record }) => (record as { message?: string }).message);

/** Whether a promise is settled so far. */
function watch(promise: Promise<void>): { isDone: boolean } {
  const watched = { isDone: false };
  void promise.then(() => {
    watched.isDone = true;
  });
  return watched;
}

describe('forceFlush of a processor', () => {
  it('forceFlush without records resolves, and opens no connection', async () => {
    const receiver = await listen();
    const { processor } = startProcessor({ endpoint: receiver.endpoint });
    await Promise.all([processor.forceFlush(), processor.forceFlush()]);
    expect(receiver.connectionCount).toBe(0);
  });

  it('forceFlush sends what was emitted before at once, and waits for its ack', async () => {
    const ack = new HeldAck();
    const receiver = await listen({ messageFaults: () => ack.fault });
    const { processor, emit } = startProcessor({ endpoint: receiver.endpoint, scheduledDelayMillis: 60_000 });
    emit({ body: 'before' });
    const flush = processor.forceFlush();
    const flushed = watch(flush);
    await until(() => receiver.entryCount === 1);
    emit({ body: 'after' });
    await settle();
    expect([flushed.isDone, messages(receiver)]).toEqual([false, ['before']]);
    ack.release();
    await flush;
    expect(processor.stats().held.records).toBe(1);
    await processor.forceFlush();
    expect(messages(receiver)).toEqual(['before', 'after']);
  });

  it('forceFlush with a receiver that does not acknowledge ends after flushTimeoutMillis with a warning, and the chunks arrive later', async () => {
    const ack = new HeldAck();
    const receiver = await listen({ messageFaults: () => ack.fault });
    const options = { endpoint: receiver.endpoint, flushTimeoutMillis: FLUSH_TIMEOUT_MILLIS };
    const { clock, processor, emit } = startProcessor(options);
    for (const body of ['a', 'b']) emit({ body });
    const flushes = [processor.forceFlush(), processor.forceFlush({ timeoutMillis: 60_000 })];
    await until(() => receiver.entryCount === 2);
    await clock.advance(FLUSH_TIMEOUT_MILLIS);
    await Promise.all(flushes);
    expect(processor.stats()).toMatchObject({ held: { records: 2 }, acknowledged: { records: 0 } });
    expect(warnings().join()).toMatch(/flush/);
    ack.release();
    await processor.forceFlush();
    expect(processor.stats()).toMatchObject({ held: { records: 0, bytes: 0 }, acknowledged: { records: 2 } });
    expect(new Set(messages(receiver))).toEqual(new Set(['a', 'b']));
  });

  it('forceFlush with timeoutMillis ends earlier', async () => {
    const ack = new HeldAck();
    const receiver = await listen({ messageFaults: () => ack.fault });
    const { clock, processor, emit } = startProcessor({ endpoint: receiver.endpoint });
    emit({ body: 'a' });
    const flush = processor.forceFlush({ timeoutMillis: 1_000 });
    const whole = watch(processor.forceFlush());
    await until(() => receiver.entryCount === 1);
    await clock.advance(1_000);
    await flush;
    expect(whole.isDone).toBe(false);
    ack.release();
    await until(() => whole.isDone);
  });

  it('forceFlush without a receiver keeps the records, and they arrive when there is one', async () => {
    const port = await freePort();
    const options = { endpoint: `tcp://127.0.0.1:${port}`, flushTimeoutMillis: FLUSH_TIMEOUT_MILLIS };
    const { clock, processor, emit } = startProcessor(options);
    const bodies = Array.from({ length: 100 }, (_, i) => `${i}`);
    for (const body of bodies) emit({ body });
    const flush = processor.forceFlush();
    await until(() => warnings().length > 0);
    await clock.advance(FLUSH_TIMEOUT_MILLIS);
    await flush;
    expect(processor.stats().held.records).toBe(100);
    const receiver = await listen({ port });
    await processor.forceFlush();
    expect(messages(receiver)).toEqual(bodies);
    expect(processor.stats()).toMatchObject({ held: { records: 0, bytes: 0 }, acknowledged: { records: 100 } });
  });
});

describe('shutdown of a processor', () => {
  it('shutdown delivers what was emitted before, and closes the connections', async () => {
    const receiver = await listen();
    const { clock, processor, emit } = startProcessor({ endpoint: receiver.endpoint, scheduledDelayMillis: 60_000 });
    for (const body of ['a', 'b']) emit({ body });
    await processor.shutdown();
    expect(messages(receiver)).toEqual(['a', 'b']);
    expect(processor.stats()).toMatchObject({
      connections: [],
      acknowledged: { records: 2 },
      dropped: { shut_down: 0 },
    });
    await until(() => receiver.openConnections === 0);
    expect((clock as { timers?: number }).timers).toBe(0);
  });

  it('records after shutdown are dropped as shut_down, and nothing throws', async () => {
    const receiver = await listen();
    const { processor, emit } = startProcessor({ endpoint: receiver.endpoint });
    const shutdown = processor.shutdown();
    emit({ body: 'during' });
    await shutdown;
    emit({ body: 'after' });
    await processor.forceFlush();
    expect(processor.stats()).toMatchObject({ emitted: 2, dropped: { shut_down: 2 }, held: { records: 0, bytes: 0 } });
    expect(receiver.connectionCount).toBe(0);
  });

  it.each([
    ['is not there', async () => `tcp://127.0.0.1:${await freePort()}`],
    ['never acknowledges', async () => (await listen({ messageFaults: () => ({ kind: 'withhold' }) })).endpoint],
  ])('shutdown with a receiver that %s ends after flushTimeoutMillis, and counts what is lost', async (_, endpoint) => {
    const options = { endpoint: await endpoint(), flushTimeoutMillis: FLUSH_TIMEOUT_MILLIS };
    const { clock, processor, emit } = startProcessor(options);
    for (let i = 0; i < 1_000; i++) emit({ body: `${i}`, severityNumber: 17 });
    const shutdowns = [processor.shutdown(), processor.shutdown()];
    const flush = processor.forceFlush();
    await until(() => processor.stats().connections.length > 0 || warnings().length > 0);
    await clock.advance(FLUSH_TIMEOUT_MILLIS);
    await Promise.all([...shutdowns, flush, processor.shutdown()]);
    const stats = processor.stats();
    expect(stats).toMatchObject({ dropped: { shut_down: 1_000 }, held: { records: 0 }, connections: [] });
    expect(stats.failed.FLUENT_FORWARD_SHUT_DOWN?.records).toBe(1_000);
    expectAccounted(stats);
    await until(() => processor.stats().held.bytes === 0);
    expect(warnings().join('\n')).toMatch(/1000 log record\(s\) dropped .*\(ERROR 1000\)/);
  });

  it('shutdown without a receiver counts records whose chunks are being compressed', async () => {
    const endpoint = `tcp://127.0.0.1:${await freePort()}`;
    const options = { endpoint, compression: 'gzip', maxChunkBytes: 20_000, flushTimeoutMillis: 1 } as const;
    const { processor, emit } = startProcessor(options);
    for (let i = 0; i < 2_000; i++) emit({ body: `${i} ${'x'.repeat(500)}` });
    await processor.shutdown();
    expect(processor.stats()).toMatchObject({ dropped: { shut_down: 2_000 }, held: { records: 0 } });
    await until(() => processor.stats().held.bytes === 0);
  });

  it('shutdown within a flush keeps what is still acknowledged', async () => {
    const ack = new HeldAck();
    const receiver = await listen({ messageFaults: () => ack.fault });
    const { processor, emit } = startProcessor({ endpoint: receiver.endpoint });
    emit({ body: 'a' });
    const flush = processor.forceFlush();
    const shutdown = processor.shutdown();
    await until(() => receiver.entryCount === 1);
    ack.release();
    await Promise.all([flush, shutdown]);
    expect(processor.stats()).toMatchObject({ acknowledged: { records: 1 }, dropped: { shut_down: 0 } });
    expect(log.filter(([level]) => level === 'warn')).toEqual([]);
  });
});
