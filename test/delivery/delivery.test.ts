import { Socket } from 'node:net';
import { diag } from '@opentelemetry/api';
import { describe, expect, it, vi } from 'vitest';
import { exporterFixture, named, textOf } from '../support/exporter-fixture.ts';
import { settle, until } from '../support/fake-clock.ts';
import { HeldAck } from '../support/held-ack.ts';

const { listen, start, warnings } = exporterFixture();
/** Makes chunks of one record each out of an export's records. */
const ONE_RECORD_CHUNKS = { maxChunkBytes: 2048 };
const body = (n: number) => `${n} `.padEnd(1500, 'x');
const bodies = (count: number) => Array.from({ length: count }, (_, n) => body(n));

describe('an acknowledged export', () => {
  it('succeeds only after the ack of every chunk', async () => {
    const receiver = await listen({ messageFaults: [undefined, undefined, { kind: 'withhold' }] });
    const { clock, send } = start({ endpoint: receiver.endpoint, ...ONE_RECORD_CHUNKS, timeoutMillis: 4_000 });
    let isDone = false;
    const result = send(...bodies(3)).finally(() => {
      isDone = true;
    });
    await receiver.waitForEntries(3);
    await clock.advance(3_999);
    expect(isDone).toBe(false);
    await clock.advance(1);
    expect((await result).error).toMatchObject({
      code: 'FLUENT_FORWARD_CHUNK_REFUSED',
      records: 3,
      acknowledgedRecords: 2,
    });
  });

  it('leaves in one write together with what is ready in the same turn', async () => {
    const receiver = await listen();
    const { send } = start({ endpoint: receiver.endpoint, ...ONE_RECORD_CHUNKS });
    await send('proof');
    const answers = vi.spyOn(Socket.prototype, '_write');
    const writes = vi.spyOn(Socket.prototype, '_writev' as '_write');
    await Promise.all([send('a'), send('b'), send(...bodies(2))]);
    expect(writes).toHaveBeenCalledTimes(1);
    // The receiver's.
    expect(answers).toHaveBeenCalledTimes(4);
    vi.restoreAllMocks();
  });

  it('keeps up to maxInFlightChunks on a proven connection', async () => {
    const receiver = await listen();
    const { clock, send } = start({
      endpoint: receiver.endpoint,
      ...ONE_RECORD_CHUNKS,
      maxInFlightChunks: 3,
      timeoutMillis: 900,
    });
    await send('proof');
    receiver.messageFaults = () => ({ kind: 'withhold' });
    const result = send(...bodies(10));
    await until(() => receiver.messageCount === 4);
    await settle();
    expect(receiver.messageCount).toBe(4);
    await clock.advance(900);
    await result;
  });
});

describe('a chunk without an ack', () => {
  it('goes nowhere before its backoff, which doubles up to 5 s and which an ack resets', async () => {
    const receiver = await listen();
    const made = start({ endpoint: receiver.endpoint, timeoutMillis: 60_000, rotationIntervalMillis: 0 });
    // No random half taken off.
    made.chance = 0;
    receiver.messageFaults = () => ({ kind: 'reset', when: 'before ack' });
    const result = made.send('x');
    let tries = 1;
    for (const millis of [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]) {
      await until(() => receiver.messageCount === tries && receiver.openConnections === 0);
      await settle();
      await made.clock.advance(millis - 1);
      expect(receiver.messageCount).toBe(tries);
      await made.clock.advance(1);
      tries++;
    }
    await until(() => receiver.messageCount === tries && receiver.openConnections === 0);
    receiver.messageFaults = [];
    await settle();
    await made.clock.advance(5_000);
    expect((await result).code).toBe(0);

    receiver.messageFaults = [{ kind: 'reset', when: 'before ack' }];
    const next = made.send('y');
    await until(() => receiver.openConnections === 0);
    await settle();
    await made.clock.advance(100);
    expect((await next).code).toBe(0);
  });

  it('is suspect as soon as a later one of the same connection is acknowledged', async () => {
    const receiver = await listen();
    const { clock, send } = start({ endpoint: receiver.endpoint, ...ONE_RECORD_CHUNKS });
    await send('proof');
    receiver.messageFaults = [undefined, { kind: 'withhold' }, undefined];
    const result = send(...bodies(4));
    await until(() => warnings().length > 0);
    expect(warnings()[0]).toMatch(/acknowledged a later chunk and not this one; 1 unacknowledged record/);
    await clock.advance(100);
    expect((await result).code).toBe(0);
    const chunks = receiver.messages.slice(1).map(({ chunk }) => chunk);
    expect(chunks.filter((chunk) => chunk === chunks[1])).toHaveLength(2);
    expect(chunks).toHaveLength(5);
    expect(receiver.connectionCount).toBe(2);
  });

  it('does not keep others waiting on a new connection when it is never acknowledged', async () => {
    // As Fluentd does with what is over its chunk_size_limit.
    const receiver = await listen({
      messageFaults: (message) => (textOf(message) === 'refused' ? { kind: 'withhold' } : undefined),
    });
    const { clock, send } = start({ endpoint: receiver.endpoint });
    await send('proof');
    const refused = send('refused');
    for (let i = 0; i < 200; i++) {
      const sentAt = clock.now();
      const result = send(i);
      await settle();
      while ((await Promise.race([result, 'waiting'])) === 'waiting') await clock.advance(10);
      expect(clock.now() - sentAt).toBeLessThanOrEqual(100);
      await clock.advance(50);
    }
    await clock.advance(25_000);
    expect((await refused).error?.code).toBe('FLUENT_FORWARD_CHUNK_REFUSED');
  });

  it('does not cost the other chunks of its connection their acks', async () => {
    const receiver = await listen();
    const { clock, send } = start({ endpoint: receiver.endpoint, ...ONE_RECORD_CHUNKS });
    await send('proof');
    receiver.messageFaults = [undefined, undefined, { kind: 'reset', when: 'before ack' }];
    const result = send(...bodies(5));
    await until(() => warnings().length > 0);
    await settle();
    await clock.advance(100);
    expect((await result).code).toBe(0);
    expect(new Set(receiver.messages.map(({ chunk }) => chunk)).size).toBe(6);
  });

  it('costs only itself where a receiver accepts and never answers', async () => {
    const [a, b] = [await listen(), await listen()];
    const { clock, send } = start({ ...named(a, b), ...ONE_RECORD_CHUNKS, connections: 2, rotationIntervalMillis: 0 });
    await send('proof');
    const silent = a.messageCount === 0 ? a : b;
    silent.messageFaults = () => ({ kind: 'withhold' });
    const result = send(...bodies(20));
    await until(() => a.entryCount + b.entryCount === 21);
    expect(silent.entryCount).toBe(1);
    await clock.advance(5_100);
    expect((await result).code).toBe(0);
  });
});

describe('a receiver that is away', () => {
  it('fails the export at the deadline, with what is known', async () => {
    const { clock, send } = start({ endpoint: 'tcp://127.0.0.1:1', timeoutMillis: 3_000 });
    const result = send('a', 'b');
    await until(() => warnings().length > 0);
    await clock.advance(3_000);
    const { code, error } = await result;
    expect(code).toBe(1);
    expect(error).toMatchObject({
      name: 'FluentForwardExportError',
      code: 'FLUENT_FORWARD_TIMEOUT',
      records: 2,
      acknowledgedRecords: 0,
      endpoint: 'tcp://127.0.0.1:1',
    });
    expect(error?.message).toMatch(
      /^2 of 2 log records were not acknowledged by tcp:\/\/127\.0\.0\.1:1: no ack within 3000 ms \(timeoutMillis\); last fault: .*connection refused/,
    );
    expect(error?.cause).toMatchObject({ code: 'FLUENT_FORWARD_CONNECT_FAILED', cause: { code: 'ECONNREFUSED' } });
  });

  it('is not dialled for the rest of an export that is given up', async () => {
    const receiver = await listen({ messageFaults: () => ({ kind: 'withhold' }) });
    const { clock, send } = start({
      endpoint: receiver.endpoint,
      ...ONE_RECORD_CHUNKS,
      ackTimeoutMillis: 30_000,
      rotationIntervalMillis: 0,
    });
    const result = send(...bodies(3));
    await receiver.waitForEntries(1);
    await clock.advance(25_000);
    expect((await result).error?.code).toBe('FLUENT_FORWARD_CHUNK_REFUSED');
    await settle();
    expect([receiver.connectionCount, receiver.openConnections]).toEqual([1, 1]);
    // The ack that is still owed tells whether the receiver works.
    await clock.advance(5_000);
    await until(() => receiver.openConnections === 0);
  });

  it('is no reason for a storm of dials, whatever the lookups give', async () => {
    let lookups = 0;
    const { clock, send } = start({
      endpoint: 'tcp://fluent',
      // Always others, where nothing listens.
      resolver: async () => [1, 2, 3].map((n) => ({ address: `127.0.${++lookups % 250}.${n}`, port: 1 })),
      timeoutMillis: 1_000,
    });
    const result = send('a');
    await until(() => warnings().length > 0);
    await settle();
    expect(lookups).toBeLessThan(15);
    await clock.advance(1_000);
    expect((await result).code).toBe(1);
  });

  it('at more addresses than there is time for is the cause that is given', async () => {
    const silent = await Promise.all(Array.from({ length: 6 }, () => listen()));
    // None of them says HELO.
    const { clock, exporter, send } = start({ ...named(...silent), sharedKey: 'key' });
    const result = send('a');
    for (let dials = 1; dials <= 5; dials++) {
      await until(() => silent.reduce((sum, { connectionCount }) => sum + connectionCount, 0) === dials);
      await settle();
      await clock.advance(5_000);
    }
    const { error } = await result;
    expect(error?.code).toBe('FLUENT_FORWARD_TIMEOUT');
    expect(error?.message).toMatch(/last fault: tcp:\/\/fluent:24224 \(127\.0\.0\.1:\d+\): no HELO within/);
    expect(exporter.stats().lastError?.code).toBe('FLUENT_FORWARD_CONNECT_TIMEOUT');
  });

  it('is found within a backoff when it comes back at one of several addresses', async () => {
    const receivers = await Promise.all(Array.from({ length: 8 }, () => listen()));
    const { endpoint, resolver } = named(...receivers);
    const addresses = await resolver();
    for (const receiver of receivers) await receiver.close();
    const { clock, exporter, send } = start({
      endpoint,
      resolver: async () => addresses,
      timeoutMillis: 200_000,
      rotationIntervalMillis: 0,
    });
    const result = send('a');
    for (let i = 0; i < 100; i++) await clock.advance(1_000);
    // The one that has just been tried.
    const latest = exporter.stats().addresses.reduce((a, b) => (a.ejectedForMillis > b.ejectedForMillis ? a : b));
    const back = await listen({ port: Number(latest.address.split(':')[1]) });
    const returnedAt = clock.now();
    while (back.entryCount === 0) await clock.advance(100);
    expect((await result).code).toBe(0);
    expect(clock.now() - returnedAt).toBeLessThanOrEqual(5_000);
  });

  it('and may be back is tried by one of several connections', async () => {
    const receiver = await listen({ messageFaults: [undefined, { kind: 'reset', when: 'before ack' }] });
    const { clock, send } = start({
      endpoint: receiver.endpoint,
      connections: 4,
      rotationIntervalMillis: 0,
      timeoutMillis: 50,
      ackTimeoutMillis: 40,
    });
    await send('a');
    const lost = send('b');
    await until(() => receiver.messageCount === 2);
    receiver.resetConnections();
    await until(() => receiver.openConnections === 0);
    await settle();
    // Before it would be sent again; and then its ejection is over too.
    await clock.advance(50);
    expect((await lost).code).toBe(1);
    await clock.advance(2_000);
    receiver.messageFaults = () => ({ kind: 'withhold' });
    const dials = receiver.connectionCount;
    for (const body of ['c', 'd', 'e']) void send(body);
    await settle();
    expect(receiver.connectionCount - dials).toBe(1);
  });

  it('and had been so is waited for no longer than the new backoff says', async () => {
    const ack = new HeldAck();
    const receiver = await listen();
    let messages = 0;
    receiver.messageFaults = () => (++messages === 1 ? ack.fault : { kind: 'reset', when: 'before ack' });
    const made = start({ endpoint: receiver.endpoint, rotationIntervalMillis: 0, timeoutMillis: 60_000 });
    made.chance = 0;
    const first = made.send('a');
    await until(() => messages === 1);
    // It is overdue, tried again and again, and just now the wait for the next try has begun, of seconds.
    while (messages < 7) await made.clock.advance(100);
    const second = made.send('b');
    ack.release();
    expect((await first).code).toBe(0);
    await until(() => messages === 8 && receiver.openConnections === 0);
    receiver.messageFaults = [];
    await settle();
    await made.clock.advance(100);
    expect((await second).code).toBe(0);
  });

  it('is dialled once, also when its resolver logs through this exporter', async () => {
    const receiver = await listen();
    let lookups = 0;
    const { send } = start({
      endpoint: 'tcp://fluent',
      resolver: async () => {
        if (++lookups < 20) void send('resolving');
        return [{ address: '127.0.0.1', port: receiver.port }];
      },
    });
    expect((await send('a')).code).toBe(0);
    await receiver.waitForEntries(2);
    expect([lookups, receiver.connectionCount]).toEqual([1, 1]);
  });

  it('does no harm by a logger that throws', async () => {
    const receiver = await listen({ messageFaults: [{ kind: 'reset', when: 'before ack' }] });
    const { exporter, send } = start({ endpoint: receiver.endpoint });
    const fail = () => {
      throw new Error('from the logger');
    };
    diag.setLogger(
      { error: fail, warn: fail, info: fail, debug: fail, verbose: fail },
      { suppressOverrideMessage: true },
    );
    const result = send('a');
    await receiver.waitForEntries(1);
    await until(() => receiver.openConnections === 0);
    await settle();
    await exporter.forceFlush();
    expect((await result).code).toBe(0);
  });
});

describe('a deadline', () => {
  it('says nothing of a connection that had no time to answer', async () => {
    const receiver = await listen({ messageFaults: [{ kind: 'delay', millis: 50 }, { kind: 'withhold' }] });
    const { clock, send } = start({ endpoint: receiver.endpoint, timeoutMillis: 1_000 });
    const first = send('first');
    await receiver.waitForEntries(1);
    const second = send('second');
    await clock.advance(900);
    // Only now does the second leave, a tenth of a second before its deadline.
    expect((await first).code).toBe(0);
    await receiver.waitForEntries(2);
    await clock.advance(100);
    expect((await second).error?.code).toBe('FLUENT_FORWARD_TIMEOUT');
    expect(warnings()).toHaveLength(1);
    expect(warnings()[0]).toMatch(/ackTimeoutMillis \(5000\) is not below timeoutMillis \(1000\)/);
    expect((await send('third')).code).toBe(0);
    expect(receiver.connectionCount).toBe(1);
  });
});

describe('a chunk that is given up', () => {
  it('is not said to be sent again when it is refused afterwards', async () => {
    const ack = new HeldAck();
    const receiver = await listen();
    const { clock, send } = start({
      endpoint: receiver.endpoint,
      ackTimeoutMillis: 20_000,
      timeoutMillis: 1_000,
      rotationIntervalMillis: 0,
    });
    await send('proof');
    receiver.messageFaults = [ack.fault, { kind: 'refuse' }];
    const results = [send('a'), send('b')];
    await until(() => receiver.messageCount === 3);
    await settle();
    await clock.advance(1_000);
    for (const result of results) expect((await result).code).toBe(1);
    ack.release();
    await until(() => receiver.openConnections === 0);
    expect(warnings().at(-1)).toMatch(/answered a chunk without accepting it; another connection is opened when/);
  });
});

describe('a chunk that receivers refuse', () => {
  it('is reported with its size, tag and the likely causes, and does not stop the others', async () => {
    const receiver = await listen({
      messageFaults: (message) => (textOf(message) === 'poison' ? { kind: 'reset', when: 'before ack' } : undefined),
    });
    const { clock, send } = start({ endpoint: receiver.endpoint, tag: 'app' });
    const poison = send('poison');
    const others: Promise<{ code: number }>[] = [];
    for (let i = 0; i < 25; i++) {
      others.push(send(i));
      await clock.advance(1_000);
    }
    await clock.advance(5_000);
    expect((await Promise.all(others)).every(({ code }) => code === 0)).toBe(true);
    // Its tries get rarer, and cost the others no more than a few resends.
    const tries = receiver.messages.filter((message) => textOf(message) === 'poison');
    expect(tries.length).toBeLessThan(15);
    expect(receiver.messageCount - tries.length).toBeLessThan(25 + tries.length);
    const { error } = await poison;
    expect(error?.code).toBe('FLUENT_FORWARD_CHUNK_REFUSED');
    expect(error?.message).toMatch(
      /a chunk of \d+ bytes \(1 record\(s\), tag "app"\).*chunk_size_limit \(Fluentd\).*buffer_max_size/,
    );
    const told = warnings().filter((text) => text.includes('chunk_size_limit'));
    expect(told).toHaveLength(1);
    expect(told[0]).toMatch(/ tcp:\/\/127\.0\.0\.1:\d+: a chunk of .*; trying on until the deadline$/);
  });
});

describe('a receiver that closes connections', () => {
  it('is sent one message a connection when it closes after each ack', async () => {
    const receiver = await listen({ messageFaults: () => ({ kind: 'close', when: 'after ack' }) });
    const { clock, send } = start({ endpoint: receiver.endpoint });
    for (let i = 0; i < 10; i++) {
      const result = send(i);
      await settle();
      await clock.advance(100);
      expect((await result).code).toBe(0);
      await until(() => receiver.openConnections === 0);
    }
    expect(receiver.connectionCount).toBe(10);
    expect(warnings()).toEqual([]);
    // Under load a chunk may be on its way when the FIN comes; not any more once that is known.
    const before = receiver.messageCount;
    const results = Array.from({ length: 20 }, (_, i) => send(i));
    expect((await Promise.all(results)).every(({ code }) => code === 0)).toBe(true);
    expect(receiver.messageCount - before).toBe(20);
    expect(warnings()).toEqual([]);
  });

  it('is found out under load too, where what follows the ack is answered by a reset', async () => {
    const receiver = await listen({ messageFaults: () => ({ kind: 'reset', when: 'after ack' }) });
    const { clock, send } = start({ endpoint: receiver.endpoint });
    const results = Promise.all(Array.from({ length: 50 }, (_, i) => send(i)));
    let isDone = false;
    void results.then(() => {
      isDone = true;
    });
    while (!isDone) await clock.advance(10);
    expect((await results).every(({ code }) => code === 0)).toBe(true);
    expect(clock.now()).toBeLessThan(1_000);
    expect(warnings().filter((text) => text.includes('chunk_size_limit'))).toEqual([]);
    expect(receiver.messageCount).toBeLessThanOrEqual(50 + 3 * 8);
  });

  it('is taken for what it is again when it does not close any more', async () => {
    const receiver = await listen({ messageFaults: () => ({ kind: 'close', when: 'after ack' }) });
    const { clock, send } = start({ endpoint: receiver.endpoint });
    for (let i = 0; i < 4; i++) {
      await send(i);
      await until(() => receiver.openConnections === 0);
    }
    receiver.messageFaults = [];
    await send('stays open');
    const results = [send('x'), send('y')];
    await clock.advance(1_000);
    expect((await Promise.all(results)).map(({ code }) => code)).toEqual([0, 0]);
    expect(receiver.connectionCount).toBe(5);
  });
});

describe('the flush budget', () => {
  it('ends a dead receiver’s exports together, and those that come with the same flush at once', async () => {
    const { clock, exporter, send } = start({ endpoint: 'tcp://127.0.0.1:1', flushTimeoutMillis: 10_000 });
    const running = [send('a'), send('b')];
    const flushed = exporter.forceFlush();
    await clock.advance(9_999);
    await clock.advance(1);
    await flushed;
    for (const result of running) expect((await result).error?.code).toBe('FLUENT_FORWARD_FLUSH_TIMEOUT');
    // BatchLogRecordProcessor exports the rest of its queue now.
    expect((await send('c')).error?.code).toBe('FLUENT_FORWARD_FLUSH_TIMEOUT');
    await exporter.forceFlush();
    // What comes later has its own time again.
    await clock.advance(1_000);
    const later = send('d');
    await clock.advance(24_999);
    const state = await Promise.race([later, settle().then(() => 'running')]);
    expect(state).toBe('running');
    await clock.advance(1);
    expect((await later).error?.code).toBe('FLUENT_FORWARD_TIMEOUT');
  });

  it('also counts for an export that a processor starts just after its flush, and for no later one', async () => {
    const { clock, exporter, send } = start({ endpoint: 'tcp://127.0.0.1:1', flushTimeoutMillis: 3_000 });
    await exporter.forceFlush();
    const soon = send('soon');
    await clock.advance(3_000);
    expect((await soon).error?.code).toBe('FLUENT_FORWARD_FLUSH_TIMEOUT');

    await clock.advance(1_000);
    await exporter.forceFlush();
    await clock.advance(2_000);
    const later = send('later');
    await clock.advance(24_999);
    await clock.advance(1);
    expect((await later).error?.code).toBe('FLUENT_FORWARD_TIMEOUT');
  });

  it('is not what an earlier flush has left of its own', async () => {
    const receiver = await listen();
    const { clock, exporter, send } = start({ endpoint: receiver.endpoint, rotationIntervalMillis: 0 });
    await send('a');
    await exporter.forceFlush();
    await clock.advance(9_500);
    receiver.messageFaults = [{ kind: 'withhold' }];
    const result = send('b');
    const flushed = exporter.forceFlush();
    await receiver.waitForEntries(2);
    await clock.advance(5_100);
    expect((await result).code).toBe(0);
    await flushed;
  });

  it('is renewed by each ack', async () => {
    const receiver = await listen({ messageFaults: [{ kind: 'delay', millis: 100 }, { kind: 'withhold' }] });
    const { clock, exporter, send } = start({
      endpoint: receiver.endpoint,
      ...ONE_RECORD_CHUNKS,
      flushTimeoutMillis: 3_000,
      ackTimeoutMillis: 20_000,
    });
    const result = send(...bodies(2));
    let isFlushed = false;
    const flushed = exporter.forceFlush().finally(() => {
      isFlushed = true;
    });
    await receiver.waitForEntries(1);
    await clock.advance(2_000);
    // The second chunk leaves when the first is acknowledged.
    await receiver.waitForEntries(2);
    await clock.advance(2_999);
    expect(isFlushed).toBe(false);
    await clock.advance(1);
    expect((await result).error).toMatchObject({ code: 'FLUENT_FORWARD_FLUSH_TIMEOUT', acknowledgedRecords: 1 });
    await flushed;
  });
});
