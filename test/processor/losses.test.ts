import { DiagLogLevel, diag } from '@opentelemetry/api';
import { describe, expect, it } from 'vitest';
import type { FluentForwardLogRecordProcessorOptions } from '../../src/config/options.ts';
import type { ForwardReceiver } from '../../src/testing/index.ts';
import { exporterFixture } from '../support/exporter-fixture.ts';
import { until } from '../support/fake-clock.ts';
import { HeldAck } from '../support/held-ack.ts';
import { expectAccounted, loggerOf, type ProcessorFixture, startProcessor } from '../support/processor-fixture.ts';

const { listen, warnings } = exporterFixture();

const [DEBUG, INFO, WARN, FATAL] = [5, 9, 13, 21];
const messages = ({ entries }: ForwardReceiver) =>
  entries.map(({ record }) => (record as { message?: string }).message);

/** Emits records of a severity until one is dropped. Returns how many were not. */
function emitUntilDropped({ processor, emit }: ProcessorFixture, severityNumber: number | undefined): number {
  const dropped = () => Object.values(processor.stats().dropped).reduce((sum, count) => sum + count);
  const before = dropped();
  let taken = 0;
  while (dropped() === before) {
    emit({ body: `severity ${severityNumber} ${'x'.repeat(500)}`, ...(severityNumber && { severityNumber }) });
    taken++;
  }
  return taken - 1;
}

describe('the memory bound of a processor', () => {
  it('records below WARN are dropped above three quarters of the bound, all others at the bound, and none that is held', async () => {
    const ack = new HeldAck();
    const receiver = await listen({ messageFaults: () => ack.fault });
    const started = startProcessor({ endpoint: receiver.endpoint, maxInFlightBytes: 262_144 });
    const { processor, emit } = started;
    let taken = emitUntilDropped(started, DEBUG);
    expect(processor.stats().held.bytes).toBeGreaterThan(0.75 * 262_144);
    expect(processor.stats().dropped).toMatchObject({ shed: 1, memory: 0 });
    for (const severityNumber of [undefined, INFO, 12]) taken += emitUntilDropped(started, severityNumber);
    expect(processor.stats().dropped).toMatchObject({ shed: 4, memory: 0 });
    const severe = emitUntilDropped(started, WARN);
    expect(severe).toBeGreaterThan(10);
    expect(processor.stats().dropped).toMatchObject({ shed: 4, memory: 1 });
    for (const severityNumber of [DEBUG, FATAL]) emit({ body: 'too late', severityNumber });
    expect(processor.stats()).toMatchObject({ dropped: { shed: 4, memory: 3 }, held: { records: taken + severe } });
    expectAccounted(processor.stats());
    ack.release();
    await processor.forceFlush();
    expect(processor.stats()).toMatchObject({
      acknowledged: { records: taken + severe },
      held: { records: 0, bytes: 0 },
    });
    expect(new Set(messages(receiver)).size).toBeGreaterThan(1);
    expect(messages(receiver)).not.toContain('too late');
    expect(receiver.entryCount).toBe(taken + severe);
    // There is room again.
    emit({ body: 'afterwards', severityNumber: DEBUG });
    await processor.forceFlush();
    expect(messages(receiver).at(-1)).toBe('afterwards');
  });

  it('each reason for which records are dropped is reported', async () => {
    const ack = new HeldAck();
    const receiver = await listen({ messageFaults: () => ack.fault });
    const started = startProcessor({ endpoint: receiver.endpoint, maxInFlightBytes: 65_536 });
    emitUntilDropped(started, DEBUG);
    emitUntilDropped(started, FATAL);
    expect(warnings().join('\n')).toMatch(
      /1 log record\(s\) dropped so far \(DEBUG 1\): .*three quarters full.*\n.*\(FATAL 1\): .*is reached/,
    );
    ack.release();
    await started.processor.forceFlush();
  });
});

describe('records that cannot be encoded', () => {
  it.each<[what: string, fields: object]>([
    [
      'too large for any message',
      { attributes: Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`key${i}`, 'x'.repeat(250_000)])) },
    ],
    ['unreadable', Object.defineProperty({}, 'body', { enumerable: true, get: throwError })],
  ])('a record that is %s is dropped alone, and counted', async (_, fields) => {
    const receiver = await listen();
    const { processor, emit } = startProcessor({ endpoint: receiver.endpoint });
    emit({ body: 'before' });
    processor.onEmit(
      Object.defineProperties(
        { severityNumber: WARN, attributes: {} },
        Object.getOwnPropertyDescriptors(fields),
      ) as never,
    );
    emit({ body: 'after' });
    await processor.forceFlush();
    expect(messages(receiver)).toEqual(['before', 'after']);
    expect(processor.stats()).toMatchObject({ emitted: 3, droppedRecords: 1, held: { records: 0, bytes: 0 } });
    expect(processor.stats().dropped.unencodable).toBe(1);
    expect(warnings().join()).toContain('1 log record(s) dropped so far (WARN 1): they cannot be encoded');
  });
});

describe('chunks that receivers refuse', () => {
  it('a chunk that goes unacknowledged on five connections is dropped as refused and named, and the others arrive', async () => {
    const isPoison = (message: { readonly entries: readonly { readonly record: unknown }[] }) =>
      message.entries.some(({ record }) => (record as { message?: string }).message === 'poison');
    const receiver = await listen({
      messageFaults: (message) => (isPoison(message) ? { kind: 'reset', when: 'before ack' } : undefined),
    });
    const { clock, processor, emit } = startProcessor({ endpoint: receiver.endpoint, scheduledDelayMillis: 0 });
    emit({ body: 'first' });
    await processor.forceFlush();
    emit({ body: 'poison', severityNumber: WARN });
    emit({ body: 'in the same chunk', severityNumber: INFO });
    await until(() => receiver.messages.some(isPoison));
    let others = 1;
    while (processor.stats().dropped.refused === 0) {
      emit({ body: `other ${others++}` });
      await until(() => processor.stats().acknowledged.records >= others);
      // Ends the pauses between the tries.
      await clock.advance(5_000);
      await new Promise((turn) => setImmediate(turn));
    }
    const stats = processor.stats();
    expect(stats.dropped.refused).toBe(2);
    expect(stats.failed.FLUENT_FORWARD_CHUNK_REFUSED).toMatchObject({ records: 2 });
    expect(new Set(receiver.messages.filter(isPoison).map(({ connection }) => connection)).size).toBeGreaterThanOrEqual(
      5,
    );
    expect(stats.acknowledged.records).toBe(others);
    expect(warnings().join('\n')).toMatch(
      /2 log record\(s\) dropped so far \(WARN 1, INFO 1\): receivers refuse them \(.*2 record\(s\), tag "opentelemetry\.logs".*\); compare chunk_size_limit/,
    );
  });
});

describe('code of the application that fails', () => {
  const cases: [what: string, options: FluentForwardLogRecordProcessorOptions, dropped: number, tag: string][] = [
    ['a tag function', { tag: throwError }, 0, 'opentelemetry.logs'],
    [
      'a layout function',
      { layout: ({ body }, entry) => (body === 'bad' ? throwError() : entry) },
      1,
      'opentelemetry.logs',
    ],
  ];

  it.each(cases)('%s that throws does not disturb other records', async (_, options, dropped, tag) => {
    const receiver = await listen();
    const { processor, emit } = startProcessor({ endpoint: receiver.endpoint, ...options });
    for (const body of ['a', 'bad', 'b']) emit({ body });
    await processor.forceFlush();
    expect(processor.stats()).toMatchObject({
      dropped: { unencodable: dropped },
      acknowledged: { records: 3 - dropped },
    });
    expect(receiver.entries.map((entry) => entry.tag)).toEqual(new Array(3 - dropped).fill(tag));
    expect(warnings().join()).toContain('thrown by the application');
  });

  it('a diag logger that throws does not disturb the delivery', async () => {
    let isThrowing = false;
    const log = () => {
      if (isThrowing) throwError();
    };
    const logger = { error: log, warn: log, info: log, debug: log, verbose: log };
    diag.setLogger(logger, { logLevel: DiagLogLevel.ALL, suppressOverrideMessage: true });
    const receiver = await listen({ messageFaults: [{ kind: 'reset', when: 'before ack' }] });
    const started = startProcessor({ endpoint: receiver.endpoint, maxInFlightBytes: 65_536 });
    const { processor } = started;
    isThrowing = true;
    emitUntilDropped(started, DEBUG);
    await processor.forceFlush();
    isThrowing = false;
    const { acknowledged, held, dropped } = processor.stats();
    expect([held.records, dropped.shed]).toEqual([0, 1]);
    expect(acknowledged.records).toBeGreaterThan(10);
  });

  it('onEmit never throws, whatever it is called with', async () => {
    const receiver = await listen();
    const { processor, emit } = startProcessor({ endpoint: receiver.endpoint });
    const bad = [
      undefined,
      null,
      1,
      'record',
      {},
      [],
      new Proxy({}, { get: throwError, has: throwError, ownKeys: throwError }),
    ];
    for (const each of bad) expect(() => processor.onEmit(each as never)).not.toThrow();
    emit({ body: 'good' });
    await processor.forceFlush();
    expect(messages(receiver)).toContain('good');
    expect(processor.stats().emitted).toBe(bad.length + 1);
    expectAccounted(processor.stats());
  });

  it('a record that a processor gets through the SDK while its own records are reported is counted', async () => {
    const receiver = await listen({ messageFaults: [{ kind: 'reset', when: 'before ack' }] });
    const { processor } = startProcessor({ endpoint: receiver.endpoint });
    const logger = loggerOf([processor]);
    let logged = 0;
    const log = () => {
      expectAccounted(processor.stats());
      if (logged < 20) logger.emit({ body: `from diag ${logged++}` });
    };
    const diagLogger = { error: log, warn: log, info: log, debug: log, verbose: () => {} };
    diag.setLogger(diagLogger, { logLevel: DiagLogLevel.ALL, suppressOverrideMessage: true });
    logger.emit({ body: 'a' });
    await logger.forceFlush();
    await until(() => processor.stats().held.records === 0);
    expect(logged).toBeGreaterThan(1);
    expect(new Set(messages(receiver))).toEqual(
      new Set(['a', ...Array.from({ length: logged }, (_, i) => `from diag ${i}`)]),
    );
  });
});

function throwError(): never {
  throw new Error('thrown by the application');
}
