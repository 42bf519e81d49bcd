import { type AddressInfo, connect, createServer, Socket } from 'node:net';
import { diag } from '@opentelemetry/api';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { Sender } from '../../src/delivery/sender.ts';
import type { ForwardReceiverOptions } from '../../src/testing/index.ts';
import {
  advanceUntil,
  connected,
  disconnected,
  exporterFixture,
  isUnderWay,
  named,
  textOf,
} from '../support/exporter-fixture.ts';
import { settle, until } from '../support/fake-clock.ts';
import type { Result } from '../support/harness.ts';
import { HeldAck } from '../support/held-ack.ts';
import { freePort } from '../support/receiver-process.mjs';

const { listen, start, warnings } = exporterFixture();
/** Makes chunks of one record each out of an export's records. */
const ONE_RECORD_CHUNKS = { maxChunkBytes: 2048 };
const body = (n: number) => `${n} `.padEnd(1500, 'x');
const bodies = (count: number) => Array.from({ length: count }, (_, n) => body(n));

/** Waits for `time`, before whose end the result must not be there. */
async function expectPending(result: Promise<Result> | undefined, time: Promise<void>): Promise<void> {
  expect(await Promise.race([result, time.then(() => 'pending')])).toBe('pending');
}

describe('an acknowledged export', () => {
  it('an export does not end before the receiver has acknowledged every chunk', async () => {
    const receiver = await listen({ messageFaults: [undefined, undefined, { kind: 'withhold' }] });
    const { clock, exporter, send } = start({
      endpoint: receiver.endpoint,
      ...ONE_RECORD_CHUNKS,
      timeoutMillis: 4_000,
    });
    let isDone = false;
    const result = send(...bodies(3)).finally(() => {
      isDone = true;
    });
    await until(() => receiver.entryCount === 3 && exporter.stats().acknowledged.records === 2);
    await clock.advance(3_999);
    expect(isDone).toBe(false);
    await clock.advance(1);
    const { error } = await result;
    expect(error).toMatchObject({ code: 'FLUENT_FORWARD_TIMEOUT', records: 3, acknowledgedRecords: 2 });
    expect(error?.message).toMatch(
      /no ack within 4000 ms \(timeoutMillis\); a chunk of \d+ bytes \(1 record\(s\), tag "opentelemetry.logs"\) was sent, and neither it nor a later one was acknowledged/,
    );
  });

  it('the memory of an acknowledged chunk is free although its export still waits for another chunk', async () => {
    const receiver = await listen({ messageFaults: [undefined, { kind: 'withhold' }] });
    const { exporter, send } = start({ endpoint: receiver.endpoint, ...ONE_RECORD_CHUNKS });
    void send(...bodies(2));
    expect(exporter.stats().inFlightBytes).toBe(2 * 1_792);
    await until(() => exporter.stats().acknowledged.records === 1);
    expect(exporter.stats().inFlightBytes).toBe(1_792);
  });

  it('chunks that are ready in the same turn leave in one write', async () => {
    const receiver = await listen();
    const { send } = start({ endpoint: receiver.endpoint, ...ONE_RECORD_CHUNKS });
    await send('proof');
    const acks = vi.spyOn(Socket.prototype, '_write');
    const chunks = vi.spyOn(Socket.prototype, '_writev' as '_write');
    await Promise.all([send('a'), send('b'), send(...bodies(2))]);
    expect(chunks).toHaveBeenCalledTimes(1);
    expect(acks).toHaveBeenCalledTimes(4);
    vi.restoreAllMocks();
  });

  it('a connection that has brought an ack takes up to maxInFlightChunks chunks', async () => {
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
  it('the wait before a resend doubles up to 5 s and starts over after an ack', async () => {
    const receiver = await listen();
    const made = start({ endpoint: receiver.endpoint, timeoutMillis: 60_000, rotationIntervalMillis: 0 });
    // No random half taken off.
    made.chance = 0;
    receiver.messageFaults = () => ({ kind: 'reset', when: 'before ack' });
    const result = made.send('x');
    let tries = 1;
    for (const millis of [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]) {
      await until(() => receiver.messageCount === tries);
      await disconnected(made);
      await made.clock.advance(millis - 1);
      expect(receiver.messageCount).toBe(tries);
      await made.clock.advance(1);
      tries++;
    }
    await until(() => receiver.messageCount === tries);
    await disconnected(made);
    receiver.messageFaults = [];
    await made.clock.advance(5_000);
    expect((await result).code).toBe(0);

    receiver.messageFaults = [{ kind: 'reset', when: 'before ack' }];
    const next = made.send('y');
    await disconnected(made);
    await made.clock.advance(100);
    expect((await next).code).toBe(0);
  });

  it('the exporter resends a chunk over another connection if the receiver acknowledges a later chunk first', async () => {
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

  it('a chunk that is never acknowledged delays other exports by at most 100 ms', async () => {
    // As Fluentd does with what is over its chunk_size_limit.
    let withheldAcks = 0;
    const receiver = await listen({
      messageFaults: (message) => {
        if (textOf(message) !== 'refused') return undefined;
        withheldAcks++;
        return { kind: 'withhold' };
      },
    });
    const made = start({ endpoint: receiver.endpoint });
    const { clock, exporter, send } = made;
    /** Whether sockets have something to do: a dial, a message or an ack is on its way. */
    const isBusy = () => {
      const { sent, resent, acknowledged, connections } = exporter.stats();
      return (
        connections.some(({ state }) => state === 'connecting') ||
        receiver.entryCount < sent.records + resent.records ||
        acknowledged.records < receiver.entryCount - withheldAcks
      );
    };
    await send('proof');
    const refused = send('refused');
    for (let i = 0; i < 200; i++) {
      const sentAt = clock.now();
      let isDone = false;
      void send(i).then(() => {
        isDone = true;
      });
      await advanceUntil(made, 10, () => isDone, isBusy);
      expect(clock.now() - sentAt).toBeLessThanOrEqual(100);
      await clock.advance(50);
    }
    await clock.advance(25_000);
    expect((await refused).error?.code).toBe('FLUENT_FORWARD_CHUNK_REFUSED');
  });

  it('only the chunk that the receiver had to acknowledge next goes behind the others after the ack timeout', async () => {
    const receiver = await listen();
    const { clock, send } = start({ endpoint: receiver.endpoint, rotationIntervalMillis: 0 });
    await send('proof');
    receiver.messageFaults = [{ kind: 'withhold' }, { kind: 'withhold' }];
    const results = [send('a'), send('b')];
    await until(() => receiver.messageCount === 3);
    await settle();
    await clock.advance(5_100);
    for (const result of results) expect((await result).code).toBe(0);
    expect(receiver.messages.map(textOf)).toEqual(['proof', 'a', 'b', 'b', 'a']);
  });

  it('all chunks of a connection are acknowledged in the end if the receiver resets it', async () => {
    const receiver = await listen();
    const { clock, send } = start({ endpoint: receiver.endpoint, ...ONE_RECORD_CHUNKS });
    await send('proof');
    receiver.messageFaults = [undefined, undefined, { kind: 'reset', when: 'before ack' }];
    const result = send(...bodies(5));
    await until(() => warnings().length > 0);
    await clock.advance(100);
    expect((await result).code).toBe(0);
    expect(new Set(receiver.messages.map(({ chunk }) => chunk)).size).toBe(6);
  });

  it('a receiver that accepts and never acknowledges delays only one of many chunks', async () => {
    const [a, b] = [await listen(), await listen()];
    const made = start({ ...named(a, b), ...ONE_RECORD_CHUNKS, connections: 2, rotationIntervalMillis: 0 });
    const { clock, exporter, send } = made;
    await send('proof');
    await connected(made, 2);
    const silent = a.messageCount === 0 ? a : b;
    silent.messageFaults = () => ({ kind: 'withhold' });
    const result = send(...bodies(20));
    await until(() => a.entryCount + b.entryCount === 21);
    expect(silent.entryCount).toBe(1);
    await until(() => exporter.stats().acknowledged.records === 20);
    await clock.advance(5_100);
    expect((await result).code).toBe(0);
  });
});

describe('an unreachable receiver', () => {
  it('an export fails at the deadline with the last fault if nothing listens at the endpoint', async () => {
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

  it('the exporter opens no connection for the rest of an export that it has given up', async () => {
    const receiver = await listen({ messageFaults: () => ({ kind: 'withhold' }) });
    const { clock, send } = start({
      endpoint: receiver.endpoint,
      ...ONE_RECORD_CHUNKS,
      ackTimeoutMillis: 30_000,
      rotationIntervalMillis: 0,
    });
    const result = send(...bodies(3));
    await until(() => receiver.entryCount === 1);
    await clock.advance(25_000);
    expect((await result).error?.code).toBe('FLUENT_FORWARD_TIMEOUT');
    await settle();
    expect([receiver.connectionCount, receiver.openConnections]).toEqual([1, 1]);
    // The exporter still waits for the ack of the first chunk, which shows whether the receiver works.
    await clock.advance(5_000);
    await until(() => receiver.openConnections === 0);
  });

  it('the exporter dials only a few times before its backoff if each lookup returns other dead addresses', async () => {
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

  it('an export that ends before all addresses were dialled reports the last one that did not answer', async () => {
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

  it('a receiver that comes back at one of several addresses gets the records within 5 s', async () => {
    const ports = await Promise.all(Array.from({ length: 8 }, freePort));
    const addresses = ports.map((port) => ({ address: '127.0.0.1', port }));
    const made = start({
      endpoint: 'tcp://fluent',
      resolver: async () => addresses,
      timeoutMillis: 200_000,
      rotationIntervalMillis: 0,
    });
    const { clock, exporter, send } = made;
    const result = send('a');
    await advanceUntil(made, 1_000, () => clock.now() === 100_000);
    await disconnected(made);
    // The address that was dialled last.
    const latest = exporter.stats().addresses.reduce((a, b) => (a.ejectedForMillis > b.ejectedForMillis ? a : b));
    const back = await listen({ port: Number(latest.address.split(':')[1]) });
    const returnedAt = clock.now();
    await advanceUntil(made, 100, () => back.entryCount > 0);
    expect((await result).code).toBe(0);
    expect(clock.now() - returnedAt).toBeLessThanOrEqual(5_000);
  });

  it('only one of several connections dials an address again after a failure', async () => {
    const receiver = await listen({ messageFaults: [undefined, { kind: 'reset', when: 'before ack' }] });
    const made = start({
      endpoint: receiver.endpoint,
      connections: 4,
      rotationIntervalMillis: 0,
      timeoutMillis: 50,
      ackTimeoutMillis: 40,
    });
    const { clock, send } = made;
    await send('a');
    await connected(made, 4);
    const lost = send('b');
    await until(() => receiver.messageCount === 2);
    receiver.resetConnections();
    await disconnected(made);
    // The deadline comes before the resend. After 2 s more the address may be dialled again.
    await clock.advance(50);
    expect((await lost).code).toBe(1);
    await clock.advance(2_000);
    receiver.messageFaults = () => ({ kind: 'withhold' });
    const dials = receiver.connectionCount;
    for (const body of ['c', 'd', 'e']) void send(body);
    await until(() => receiver.connectionCount > dials);
    await settle();
    expect(receiver.connectionCount - dials).toBe(1);
  });

  it('an ack ends a long backoff and the next backoff is 100 ms again', async () => {
    const ack = new HeldAck();
    const receiver = await listen();
    let messages = 0;
    receiver.messageFaults = () => (++messages === 1 ? ack.fault : { kind: 'reset', when: 'before ack' });
    const made = start({ endpoint: receiver.endpoint, rotationIntervalMillis: 0, timeoutMillis: 60_000 });
    made.chance = 0;
    const first = made.send('a');
    await until(() => messages === 1);
    // The ack is overdue, each resend is reset, and after the last one the exporter waits for seconds. The first
    // connection stays: its ack still counts.
    const isResending = () => made.exporter.stats().connections.length > 1;
    await advanceUntil(made, 100, () => messages === 7, isResending);
    await until(() => !isResending());
    const second = made.send('b');
    ack.release();
    expect((await first).code).toBe(0);
    await until(() => messages === 8);
    await disconnected(made);
    receiver.messageFaults = [];
    await made.clock.advance(100);
    expect((await second).code).toBe(0);
  });

  it('the exporter dials once even if its resolver logs through the same exporter', async () => {
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
    await until(() => receiver.entryCount >= 2);
    expect([lookups, receiver.connectionCount]).toEqual([1, 1]);
  });

  it('the exporter delivers records even if the logger of diag throws', async () => {
    const receiver = await listen({ messageFaults: [{ kind: 'reset', when: 'before ack' }] });
    const made = start({ endpoint: receiver.endpoint });
    const fail = () => {
      throw new Error('from the logger');
    };
    diag.setLogger(
      { error: fail, warn: fail, info: fail, debug: fail, verbose: fail },
      { suppressOverrideMessage: true },
    );
    const result = made.send('a');
    await until(() => receiver.entryCount === 1);
    await disconnected(made);
    await made.exporter.forceFlush();
    expect((await result).code).toBe(0);
  });
});

describe('the deadline of an export', () => {
  it('the exporter goes on using a connection whose last chunk left just before the deadline', async () => {
    const ack = new HeldAck();
    const receiver = await listen({ messageFaults: [ack.fault, { kind: 'withhold' }] });
    const { clock, send } = start({ endpoint: receiver.endpoint, timeoutMillis: 1_000 });
    const first = send('first');
    await until(() => receiver.entryCount === 1);
    const second = send('second');
    await clock.advance(900);
    // Only now does the second leave, a tenth of a second before its deadline.
    ack.release();
    expect((await first).code).toBe(0);
    await until(() => receiver.entryCount === 2);
    await clock.advance(100);
    expect((await second).error?.code).toBe('FLUENT_FORWARD_TIMEOUT');
    expect(warnings()).toHaveLength(1);
    expect(warnings()[0]).toMatch(/ackTimeoutMillis \(5000\) must be less than timeoutMillis \(1000\)/);
    expect((await send('third')).code).toBe(0);
    expect(receiver.connectionCount).toBe(1);
  });
});

describe('a chunk that is given up', () => {
  it('the exporter announces no resend if the receiver refuses a chunk that was given up', async () => {
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

describe('a refused chunk', () => {
  it('the exporter reports a refused chunk with size, tag and likely causes and delivers the others', async () => {
    let tries = 0;
    const refusals = () => warnings().filter((text) => text.includes('chunk_size_limit'));
    const receiver = await listen({
      messageFaults: (message) => {
        if (textOf(message) !== 'poison') return undefined;
        tries++;
        return { kind: 'reset', when: 'before ack' };
      },
    });
    const made = start({ endpoint: receiver.endpoint, tag: 'app' });
    const { clock, send } = made;
    const isBusy = () => isUnderWay(made);
    const poison = send('poison');
    const others: Promise<{ code: number }>[] = [];
    for (let i = 0; i < 25; i++) {
      await advanceUntil(made, 1_000, () => clock.now() === (i + 1) * 1_000, isBusy);
      others.push(send(i));
    }
    await advanceUntil(made, 1_000, () => clock.now() === 30_000, isBusy);
    expect((await Promise.all(others)).every(({ code }) => code === 0)).toBe(true);
    // The exporter tries it less and less often, so that the others have to be sent again only a few times.
    expect(tries).toBeLessThan(15);
    expect(receiver.messageCount - tries).toBeLessThan(25 + tries);
    const { error } = await poison;
    expect(error?.code).toBe('FLUENT_FORWARD_CHUNK_REFUSED');
    expect(error?.message).toMatch(
      /a chunk of \d+ bytes \(1 record\(s\), tag "app"\).*chunk_size_limit \(Fluentd\).*buffer_max_size/,
    );
    expect(refusals()).toHaveLength(1);
    expect(refusals()[0]).toMatch(/ tcp:\/\/127\.0\.0\.1:\d+: a chunk of .*; trying on until the deadline$/);
  });

  it('the exporter reports a chunk as refused after five tries between which others are acknowledged', async () => {
    /** How often the chunk had been reported at each of its tries. */
    const reports: number[] = [];
    const receiver = await listen({
      messageFaults: (message) => {
        if (textOf(message) !== 'poison') return undefined;
        reports.push(warnings().filter((text) => text.includes('probably refuse it')).length);
        return { kind: 'reset', when: 'before ack' };
      },
    });
    const made = start({ endpoint: receiver.endpoint, rotationIntervalMillis: 0, timeoutMillis: 29_000 });
    void made.send('poison');
    const isBusy = () => isUnderWay(made);
    for (let tries = 1; tries <= 8; tries++) {
      await advanceUntil(made, 25, () => reports.length === tries, isBusy);
      await disconnected(made);
      let isDone = false;
      void made.send('other').then(({ code }) => {
        isDone = code === 0;
      });
      await advanceUntil(made, 25, () => isDone || reports.length > tries, isBusy);
    }
    // The first two times it goes before the others, which wait for it.
    expect(reports.slice(0, 8)).toEqual([0, 0, 0, 0, 0, 0, 0, 1]);
  });
});

describe('a receiver through which no chunk gets', () => {
  it('an export to a receiver that acknowledges nothing reports the missing acks and no refused chunk', async () => {
    const receiver = await listen();
    const made = start({ endpoint: receiver.endpoint, ...ONE_RECORD_CHUNKS });
    await made.send('proof');
    receiver.messageFaults = () => ({ kind: 'withhold' });
    const result = made.send(...bodies(3));
    await advanceUntil(
      made,
      1_000,
      () => made.clock.now() >= 25_000,
      () => made.exporter.stats().connections.some(({ state }) => state === 'connecting'),
    );
    const { error } = await result;
    expect(error).toMatchObject({ code: 'FLUENT_FORWARD_TIMEOUT', cause: { code: 'FLUENT_FORWARD_ACK_TIMEOUT' } });
    expect(error?.message).toMatch(
      /was sent, and neither it nor a later one was acknowledged: does the receiver run, /,
    );
    expect(warnings().filter((text) => text.includes('refuse'))).toEqual([]);
  });

  it('an export to a receiver that closes each connection without an ack reports no refused chunk', async () => {
    const receiver = await listen();
    const made = start({ endpoint: receiver.endpoint });
    await made.send('proof');
    receiver.messageFaults = () => ({ kind: 'close', when: 'before ack' });
    const result = made.send('a');
    await advanceUntil(made, 100, () => receiver.messageCount > 6);
    await disconnected(made);
    await made.clock.advance(25_000);
    expect((await result).error).toMatchObject({
      code: 'FLUENT_FORWARD_TIMEOUT',
      cause: { code: 'FLUENT_FORWARD_CONNECTION_LOST' },
    });
    expect(warnings().filter((text) => text.includes('refuse'))).toEqual([]);
  });
});

describe('a receiver that closes connections', () => {
  it('the exporter dials again without a warning if the receiver closes after each ack', async () => {
    const receiver = await listen({ messageFaults: () => ({ kind: 'close', when: 'after ack' }) });
    const { send } = start({ endpoint: receiver.endpoint });
    for (let i = 0; i < 10; i++) {
      expect((await send(i)).code).toBe(0);
      await until(() => receiver.openConnections === 0);
    }
    expect([receiver.connectionCount, receiver.messageCount]).toEqual([10, 10]);
    expect(warnings()).toEqual([]);
  });

  it('all records are delivered within 10 s if the receiver resets each connection after an ack', async () => {
    const receiver = await listen({ messageFaults: () => ({ kind: 'reset', when: 'after ack' }) });
    const made = start({ endpoint: receiver.endpoint });
    const { clock, send } = made;
    const results = Promise.all(Array.from({ length: 50 }, (_, i) => send(i)));
    let isDone = false;
    void results.then(() => {
      isDone = true;
    });
    await advanceUntil(made, 10, () => isDone);
    expect((await results).every(({ code }) => code === 0)).toBe(true);
    expect(clock.now()).toBeLessThan(10_000);
    expect(warnings().filter((text) => text.includes('chunk_size_limit'))).toEqual([]);
  });

  it('a connection stays in use although another receiver behind the same address closes after each ack', async () => {
    const keeping = await listen();
    const closing = await listen({ messageFaults: () => ({ kind: 'close', when: 'after ack' }) });
    // A virtual address with two kinds of receivers behind it.
    let accepted = 0;
    const proxy = createServer((client) => {
      const { port } = accepted++ === 0 ? keeping : closing;
      const server = connect(port, '127.0.0.1');
      for (const [from, to] of [
        [client, server],
        [server, client],
      ] as const) {
        from.on('error', () => to.destroy()).on('close', () => to.destroy());
        from.pipe(to);
      }
    });
    await new Promise<void>((done) => proxy.listen(0, '127.0.0.1', done));
    onTestFinished(() => void proxy.close());
    const { port } = proxy.address() as AddressInfo;
    const made = start({ endpoint: `tcp://127.0.0.1:${port}`, connections: 2, rotationIntervalMillis: 0 });
    const isBusy = () => made.exporter.stats().connections.some(({ state }) => state === 'connecting');
    for (let i = 0; i < 100; i++) {
      let isDone = false;
      const result = made.send(i).finally(() => {
        isDone = true;
      });
      await advanceUntil(made, 10, () => isDone, isBusy);
      expect((await result).code).toBe(0);
    }
    // The exporter takes the two connections in turn, and the idle one when the other is lost.
    const before = keeping.messageCount;
    expect(before).toBeGreaterThan(30);
    for (let i = 0; i < 20; i++) {
      let isDone = false;
      const result = made.send(i).finally(() => {
        isDone = true;
      });
      await advanceUntil(made, 10, () => isDone, isBusy);
      expect((await result).code).toBe(0);
    }
    expect(keeping.messageCount - before).toBeGreaterThan(5);
    expect(keeping.connectionCount).toBe(1);
  });
});

describe('a warning about a fault', () => {
  it('the records that wait are counted only for a warning that is logged', async () => {
    const made = start({ endpoint: 'tcp://127.0.0.1:1' });
    const counted = vi.spyOn(Sender.prototype, 'waitingRecords', 'get');
    const result = made.send('a');
    await advanceUntil(made, 1_000, () => made.clock.now() >= 25_000);
    expect((await result).code).toBe(1);
    expect(made.exporter.stats().connections).toEqual([]);
    expect(counted).toHaveBeenCalledTimes(warnings().length);
    counted.mockRestore();
  });
});

describe('a frozen process', () => {
  it('an export whose deadline passes while the process is frozen has time for one more try', async () => {
    const receiver = await listen({ messageFaults: [{ kind: 'reset', when: 'before ack' }] });
    const { clock, send } = start({ endpoint: receiver.endpoint });
    const result = send('a');
    await until(() => warnings().length > 0);
    await clock.freeze(60_000);
    await clock.advance(100);
    expect((await result).code).toBe(0);
  });

  it('an export that nobody acknowledges after the process was frozen ends after one more try', async () => {
    const receiver = await listen({ messageFaults: () => ({ kind: 'withhold' }) });
    const { clock, send } = start({ endpoint: receiver.endpoint });
    const result = send('a');
    await until(() => receiver.messageCount === 1);
    await clock.freeze(60_000);
    // connectTimeoutMillis and ackTimeoutMillis.
    await expectPending(result, clock.advance(9_999));
    await clock.advance(1);
    expect((await result).error?.code).toBe('FLUENT_FORWARD_TIMEOUT');
  });

  it('an export whose process is frozen again and again ends after one more try', async () => {
    const receiver = await listen({ messageFaults: () => ({ kind: 'withhold' }) });
    const { clock, exporter, send } = start({ endpoint: receiver.endpoint });
    const result = send('a');
    await until(() => receiver.messageCount === 1);
    const flushed = exporter.forceFlush();
    for (let freezes = 0; freezes < 2; freezes++) await clock.freeze(60_000);
    expect((await result).code).toBe(1);
    await flushed;
  });

  it('a flush that ends while the process is frozen has time for one more try', async () => {
    const receiver = await listen({ messageFaults: [{ kind: 'reset', when: 'before ack' }] });
    const { clock, exporter, send } = start({ endpoint: receiver.endpoint, timeoutMillis: 25_000 });
    const result = send('a');
    await until(() => warnings().length > 0);
    const flushed = exporter.forceFlush();
    await clock.freeze(12_000);
    await clock.advance(100);
    expect((await result).code).toBe(0);
    await flushed;
  });
});

describe('the cause of a failed export', () => {
  it('the cause is the last fault of the connections if a chunk waits for a connection at the end', async () => {
    const receiver = await listen({ messageFaults: [{ kind: 'withhold' }] });
    const made = start({ endpoint: receiver.endpoint });
    const result = made.send('a');
    await until(() => receiver.messageCount === 1);
    await receiver.close();
    await disconnected(made);
    await advanceUntil(made, 1_000, () => made.clock.now() >= 25_000);
    const { error } = await result;
    expect(error).toMatchObject({
      code: 'FLUENT_FORWARD_TIMEOUT',
      cause: { code: 'FLUENT_FORWARD_CONNECT_FAILED', cause: { code: 'ECONNREFUSED' } },
    });
    expect(error?.message).toMatch(/\(timeoutMillis\); last fault: .*: connection refused; is the receiver running/);
  });

  it('the cause is the last fault of a chunk if the chunk is on a connection at the end', async () => {
    let tries = 0;
    const options: ForwardReceiverOptions = {
      messageFaults: (message) => {
        if (textOf(message) === 'b') return { kind: 'garbage' };
        return ++tries === 1 ? { kind: 'reset', when: 'before ack' } : { kind: 'withhold' };
      },
    };
    const receivers = [await listen(options), await listen(options)];
    const limits = { ackTimeoutMillis: 20_000, timeoutMillis: 10_000 };
    const made = start({ ...named(...receivers), connections: 2, rotationIntervalMillis: 0, ...limits });
    const { clock, exporter, send } = made;
    const result = send('a');
    await until(() => exporter.stats().lastError !== undefined);
    await advanceUntil(
      made,
      100,
      () => tries === 2,
      () => false,
    );
    // A fault of the other connection has nothing to do with the chunk.
    void send('b');
    const isOther = () => exporter.stats().lastError?.code === 'FLUENT_FORWARD_BAD_ANSWER';
    await advanceUntil(made, 100, isOther, () => false);
    await clock.advance(10_000);
    expect((await result).error).toMatchObject({
      code: 'FLUENT_FORWARD_TIMEOUT',
      cause: { code: 'FLUENT_FORWARD_CONNECTION_LOST' },
    });
  });
});

describe('a connection whose chunk is acknowledged elsewhere', () => {
  it('a connection is proven by the ack of a chunk that another connection has acknowledged before', async () => {
    const [late, resent] = [new HeldAck(), new HeldAck()];
    const receiver = await listen({ messageFaults: [late.fault, resent.fault] });
    const { clock, exporter, send } = start({ endpoint: receiver.endpoint, rotationIntervalMillis: 0 });
    const first = send('a');
    await until(() => receiver.messageCount === 1);
    await settle();
    await clock.advance(5_100);
    await until(() => receiver.messageCount === 2);
    late.release();
    expect((await first).code).toBe(0);
    resent.release();
    await until(() => exporter.stats().connections.every(({ inFlightChunks }) => inFlightChunks === 0));
    receiver.messageFaults = () => ({ kind: 'withhold' });
    for (let n = 0; n < 3; n++) void send(n);
    // A connection without an ack takes one.
    await until(() => receiver.messageCount === 5);
    expect(receiver.messages.slice(2).map(({ connection }) => connection)).toEqual([1, 1, 1]);
  });
});

describe('a connection that has brought no ack', () => {
  it('a connection whose only chunk is acknowledged elsewhere closes when it is idle', async () => {
    const late = new HeldAck();
    const receiver = await listen({ messageFaults: [late.fault, { kind: 'withhold' }] });
    const made = start({ endpoint: receiver.endpoint });
    const first = made.send('a');
    await until(() => receiver.messageCount === 1);
    await settle();
    await made.clock.advance(5_100);
    await until(() => receiver.messageCount === 2);
    late.release();
    expect((await first).code).toBe(0);
    expect(made.exporter.stats().connections).toMatchObject([{ inFlightChunks: 0 }]);
    await made.clock.advance(240_000);
    await disconnected(made);
  });

  it('a receiver that takes one message a connection gets no second one after an ack elsewhere', async () => {
    const late = new HeldAck();
    const security = { sharedKey: 'key', keepalive: false };
    const receiver = await listen({ security, messageFaults: [late.fault, { kind: 'withhold' }] });
    const { clock, send } = start({ endpoint: receiver.endpoint, sharedKey: 'key' });
    const first = send('a');
    await until(() => receiver.messageCount === 1);
    await settle();
    await clock.advance(5_100);
    await until(() => receiver.messageCount === 2);
    late.release();
    expect((await first).code).toBe(0);
    expect((await send('b')).code).toBe(0);
    expect(receiver.messages.map(({ connection }) => connection)).toEqual([0, 1, 2]);
  });
});

describe('a flush', () => {
  const DEAD = 'tcp://127.0.0.1:1';

  it('a flush fails the exports to a dead receiver together, and those that follow in the same turn at once', async () => {
    const { clock, exporter, send } = start({ endpoint: DEAD, flushTimeoutMillis: 10_000 });
    const running = [send('a'), send('b')];
    // BatchLogRecordProcessor exports the rest of its queue, batch after batch, when a flushed batch has failed.
    const next = running[1]?.then(() => send('c')).then(({ error }) => [error?.code, send('d')] as const);
    const flushed = exporter.forceFlush();
    await clock.advance(9_999);
    await clock.advance(1);
    await flushed;
    for (const result of running) expect((await result).error?.code).toBe('FLUENT_FORWARD_FLUSH_TIMEOUT');
    const [code, last] = (await next) as NonNullable<Awaited<typeof next>>;
    expect([code, (await last).error?.code]).toEqual(['FLUENT_FORWARD_FLUSH_TIMEOUT', 'FLUENT_FORWARD_FLUSH_TIMEOUT']);
  });

  it('an export of a later turn than that in which a flush timed out is tried and has its own deadline', async () => {
    const receiver = await listen({ messageFaults: [{ kind: 'withhold' }] });
    const { clock, exporter, send } = start({
      endpoint: receiver.endpoint,
      flushTimeoutMillis: 1_000,
      ackTimeoutMillis: 20_000,
    });
    const first = send('a');
    await until(() => receiver.messageCount === 1);
    let later: Promise<Result> | undefined;
    const flushed = exporter.forceFlush();
    void first.then(() => setImmediate(() => (later = send('b'))));
    await clock.advance(1_000);
    await flushed;
    expect((await first).error?.code).toBe('FLUENT_FORWARD_FLUSH_TIMEOUT');
    await until(() => later !== undefined);
    // The first connection waits for the ack of its first chunk, and is replaced when that is overdue.
    await expectPending(later, clock.advance(18_999));
    await clock.advance(200);
    expect((await later)?.code).toBe(0);
  });

  it('a flush with nothing in flight changes nothing for later exports', async () => {
    const { clock, exporter, send } = start({ endpoint: DEAD, flushTimeoutMillis: 3_000 });
    await exporter.forceFlush();
    const later = send('later');
    await expectPending(later, clock.advance(24_999));
    await clock.advance(1);
    expect((await later).error?.code).toBe('FLUENT_FORWARD_TIMEOUT');
  });

  it('a flush waits for an export that begins in the same turn', async () => {
    const { clock, exporter, send } = start({ endpoint: DEAD, flushTimeoutMillis: 3_000 });
    // BatchLogRecordProcessor does so, with microtasks between.
    const flushed = exporter.forceFlush();
    await Promise.resolve();
    const soon = send('soon');
    await clock.advance(3_000);
    await flushed;
    expect((await soon).error?.code).toBe('FLUENT_FORWARD_FLUSH_TIMEOUT');
  });

  it('a flush does not touch an export that began after it', async () => {
    const { clock, exporter, send } = start({ endpoint: DEAD, flushTimeoutMillis: 3_000 });
    const first = send('first');
    const flushed = exporter.forceFlush();
    await clock.advance(1_000);
    const second = send('second');
    await clock.advance(2_000);
    await flushed;
    expect((await first).error?.code).toBe('FLUENT_FORWARD_FLUSH_TIMEOUT');
    await expectPending(second, clock.advance(22_999));
    await clock.advance(1);
    expect((await second).error?.code).toBe('FLUENT_FORWARD_TIMEOUT');
  });

  it.each(['forceFlush', 'shutdown'] as const)(
    'a %s just after a flush that timed out ends within flushTimeoutMillis',
    async (method) => {
      const { clock, exporter, send } = start({ endpoint: DEAD, flushTimeoutMillis: 2_000 });
      const first = send('a');
      const flushed = exporter.forceFlush();
      await clock.advance(1_500);
      const second = send('b');
      await clock.advance(500);
      await flushed;
      expect((await first).error?.code).toBe('FLUENT_FORWARD_FLUSH_TIMEOUT');
      let isDone = false;
      const done = exporter[method]().finally(() => {
        isDone = true;
      });
      await clock.advance(1_999);
      expect(isDone).toBe(false);
      await clock.advance(1);
      await done;
      expect((await second).error?.code).toBe('FLUENT_FORWARD_FLUSH_TIMEOUT');
    },
  );

  it.each(['forceFlush', 'shutdown'] as const)('a %s ends after 25 s although acks arrive', async (method) => {
    const acks = Array.from({ length: 30 }, () => new HeldAck());
    const receiver = await listen();
    const { clock, exporter, send } = start({
      endpoint: receiver.endpoint,
      timeoutMillis: 60_000,
      maxInFlightChunks: 32,
      rotationIntervalMillis: 0,
    });
    await send('proof');
    receiver.messageFaults = acks.map(({ fault }) => fault);
    const results = acks.map((_, n) => send(n));
    await until(() => receiver.messageCount === 31);
    let isDone = false;
    const done = exporter[method]().finally(() => {
      isDone = true;
    });
    for (let n = 0; n < 25; n++) {
      expect(isDone).toBe(false);
      acks[n]?.release();
      expect((await results[n])?.code).toBe(0);
      await clock.advance(1_000);
    }
    await done;
    for (const result of results.slice(25)) {
      const { error } = await result;
      expect(error?.code).toBe('FLUENT_FORWARD_FLUSH_TIMEOUT');
      expect(error?.message).toContain(': a flush takes at most 25000 ms');
    }
  });

  it('a flush has its whole time although an earlier flush has begun', async () => {
    const receiver = await listen();
    const { clock, exporter, send } = start({ endpoint: receiver.endpoint, rotationIntervalMillis: 0 });
    await send('a');
    await exporter.forceFlush();
    await clock.advance(9_500);
    receiver.messageFaults = [{ kind: 'withhold' }];
    const result = send('b');
    const flushed = exporter.forceFlush();
    await until(() => receiver.entryCount === 2);
    await clock.advance(5_100);
    expect((await result).code).toBe(0);
    await flushed;
  });

  it('each ack gives a flush that is waiting its time again', async () => {
    const ack = new HeldAck();
    const receiver = await listen({ messageFaults: [ack.fault, { kind: 'withhold' }] });
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
    await until(() => receiver.entryCount === 1);
    await clock.advance(2_000);
    ack.release();
    // The second chunk leaves when the first is acknowledged.
    await until(() => receiver.entryCount === 2);
    await clock.advance(2_999);
    expect(isFlushed).toBe(false);
    await clock.advance(1);
    expect((await result).error).toMatchObject({ code: 'FLUENT_FORWARD_FLUSH_TIMEOUT', acknowledgedRecords: 1 });
    await flushed;
  });
});
