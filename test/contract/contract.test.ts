import { AsyncLocalStorage } from 'node:async_hooks';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { context, diag } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { isTracingSuppressed } from '@opentelemetry/core';
import { BatchLogRecordProcessor, LoggerProvider, SimpleLogRecordProcessor } from '@opentelemetry/sdk-logs';
import { describe, expect, it } from 'vitest';
import { FluentForwardLogExporter, type FluentForwardLogExporterOptions } from '../../src/index.ts';
import { exporterFixture, textOf } from '../support/exporter-fixture.ts';
import { until } from '../support/fake-clock.ts';
import { exportBodies, logRecord, type Result } from '../support/harness.ts';
import { LONG_LIMIT_VARIABLES, LONG_LIMITS } from '../support/long-limits.ts';
import { runProgram } from '../support/run-program.ts';
import { resolveIn, SDK_LINE } from '../support/sdk-line.ts';

const { listen, log, warnings } = exporterFixture();

/** Nothing listens there. */
const NOWHERE = 'tcp://127.0.0.1:1';

// The numbers before the tests are those of the SDK's contract with an exporter, as the project's design counts them.
describe('the exporter under the SDK', () => {
  function batching(options: FluentForwardLogExporterOptions, processorOptions: object = {}) {
    const exporter = new FluentForwardLogExporter({ ...LONG_LIMITS, ...options });
    const provider = new LoggerProvider({
      processors: [new BatchLogRecordProcessor({ exporter, scheduledDelayMillis: 10, ...processorOptions })],
    });
    return { exporter, provider, logger: provider.getLogger('test') };
  }

  function simple(options: FluentForwardLogExporterOptions) {
    const exporter = new FluentForwardLogExporter({ ...LONG_LIMITS, ...options });
    const provider = new LoggerProvider({ processors: [new SimpleLogRecordProcessor({ exporter })] });
    return { exporter, provider, logger: provider.getLogger('test') };
  }

  // (1)
  it('export never throws, whatever a record holds, and calls back once, in a later turn', async () => {
    const receiver = await listen();
    const exporter = new FluentForwardLogExporter({ ...LONG_LIMITS, endpoint: receiver.endpoint });
    const hostile = [
      logRecord(new Proxy({}, { ownKeys: () => fail() })),
      new Proxy(logRecord('x'), { get: () => fail() }),
      {
        ...logRecord('y'),
        resource: undefined,
        instrumentationScope: null,
        attributes: null,
        hrTime: 'x',
        spanContext: 7,
      },
      undefined,
    ] as unknown as Parameters<FluentForwardLogExporter['export']>[0];
    let calls = 0;
    const result = await new Promise<Result>((resolve) => {
      exporter.export(hostile, (given) => {
        calls++;
        resolve(given as Result);
        throw new Error('from the callback');
      });
      expect(calls).toBe(0);
    });
    expect(result.code).toBe(0);
    expect(receiver.entryCount).toBe(2);
    await exporter.shutdown();
    expect(calls).toBe(1);
    expect(warnings().filter((text) => /dropped 2 of 4 log records/.test(text))).toHaveLength(1);
    expect(
      warnings().filter((text) => /callback of export\(\) threw: Error: from the callback/.test(text)),
    ).toHaveLength(1);
    // Not even without records at all.
    for (const nonsense of [undefined, null, 7]) exporter.export(nonsense as never, () => {});
  });

  // (1)
  it('export calls back at its own deadline, before that of the processor', async () => {
    const { logger, provider } = batching(
      { endpoint: NOWHERE, timeoutMillis: 200, flushTimeoutMillis: 60_000 },
      { exportTimeoutMillis: 60_000 },
    );
    logger.emit({ body: 'x' });
    const start = performance.now();
    await provider.forceFlush();
    expect(performance.now() - start).toBeLessThan(20_000);
    // The processor logs the error of the exporter. Its own error would be `Timeout`.
    expect(warnings().some((text) => /no ack within 200 ms/.test(text))).toBe(true);
    await provider.shutdown();
  });

  // (2)
  it('the exporter takes overlapping exports, and fails an export after shutdown', async () => {
    const receiver = await listen({ messageFaults: [{ kind: 'delay', millis: 50 }] });
    const { exporter, logger, provider } = simple({ endpoint: receiver.endpoint });
    for (let i = 0; i < 5; i++) logger.emit({ body: i });
    await provider.shutdown();
    expect(receiver.entryCount).toBe(5);
    const { code, error } = await exportBodies(exporter, 'late');
    expect(code).toBe(1);
    expect(error?.code).toBe('FLUENT_FORWARD_SHUT_DOWN');
    expect(error?.message).toMatch(
      /1 of 1 log records were not acknowledged.*the exporter is shut down; await forceFlush\(\) before shutdown\(\)/,
    );
  });

  // (3)
  it('forceFlush never rejects and ends in time, also several at once against a dead receiver', async () => {
    const { exporter, logger, provider } = batching({ endpoint: NOWHERE, flushTimeoutMillis: 300 });
    for (let i = 0; i < 2048; i++) logger.emit({ body: i });
    const start = performance.now();
    await Promise.all([provider.forceFlush(), exporter.forceFlush(), exporter.forceFlush()]);
    await provider.forceFlush();
    expect(performance.now() - start).toBeLessThan(20_000);
    await expect(provider.shutdown()).resolves.toBeUndefined();
    await expect(exporter.forceFlush()).resolves.toBeUndefined();
  });

  // (4)
  it('shutdown takes one flush timeout with a full queue and a dead receiver, and happens once', async () => {
    const { exporter, logger, provider } = batching(
      { endpoint: NOWHERE, flushTimeoutMillis: 500 },
      // 32 batches: a flush timeout for each would take 16 s.
      { scheduledDelayMillis: 60_000, maxExportBatchSize: 64 },
    );
    for (let i = 0; i < 2048; i++) logger.emit({ body: i });
    const start = performance.now();
    await provider.shutdown();
    const millis = performance.now() - start;
    expect(millis).toBeGreaterThan(400);
    expect(millis).toBeLessThan(10_000);
    expect(exporter.shutdown()).toBe(exporter.shutdown());
    await exporter.shutdown();
  });

  // (4)
  it('shutdown waits for the acks of what is in flight and then closes the connections', async () => {
    const receiver = await listen({ messageFaults: () => ({ kind: 'delay', millis: 20 }) });
    const { logger, provider } = simple({ endpoint: receiver.endpoint });
    for (let i = 0; i < 10; i++) logger.emit({ body: i });
    expect(receiver.entryCount).toBe(0);
    await provider.shutdown();
    expect(receiver.entryCount).toBe(10);
    await until(() => receiver.openConnections === 0);
  });

  // (5)
  it('a failed batch is reported once, by the processor', async () => {
    const { logger, provider } = batching({ endpoint: NOWHERE, timeoutMillis: 100 });
    logger.emit({ body: 'x' });
    await provider.forceFlush();
    await provider.shutdown();
    const reports = log.filter(([, text]) => /FluentForwardExportError/.test(text));
    // The processor's own line comes through the global error handler, as an error.
    expect(reports.map(([level]) => level)).toEqual(['error']);
    expect(warnings().filter((text) => /1 of 1 log records were not acknowledged/.test(text))).toHaveLength(1);
  });

  // (6)
  it('export encodes the records before it returns', async () => {
    const receiver = await listen();
    const { logger, provider } = simple({ endpoint: receiver.endpoint });
    const body = { step: 'at emit' };
    logger.emit({ body });
    body.step = 'later';
    await provider.shutdown();
    expect(receiver.entries[0]?.record).toMatchObject({ body: { step: 'at emit' } });
  });

  // (7)
  it('a record keeps its time to the nanosecond, and gets the observed one if it has none', async () => {
    const receiver = await listen();
    const { logger, provider } = batching({ endpoint: receiver.endpoint });
    for (const timestamp of [
      [1_700_000_000, 123_456_789],
      [1, 2e9],
      [0, 0],
      [Number.NaN, 1],
      [-5, 0],
      [2 ** 32, 0],
    ] as [number, number][]) {
      logger.emit({ body: 'x', timestamp, observedTimestamp: [1_600_000_000, 1] });
    }
    await provider.shutdown();
    const observed = { seconds: 1_600_000_000, nanoseconds: 1 };
    expect(receiver.entries.map(({ time }) => time)).toEqual([
      { seconds: 1_700_000_000, nanoseconds: 123_456_789 },
      { seconds: 3, nanoseconds: 0 },
      ...Array.from({ length: 4 }, () => observed),
    ]);
  });

  // (8)
  it('the exporter reads the attributes of a resource once', async () => {
    const receiver = await listen();
    const { logger, provider, exporter } = batching({ endpoint: receiver.endpoint });
    logger.emit({ body: 'x' });
    await provider.forceFlush();
    let reads = 0;
    const resource = {
      get attributes() {
        reads++;
        return { 'service.name': 'counted' };
      },
    };
    const records = Array.from(
      { length: 100 },
      (_, i) => ({ ...logRecord(i), resource }) as unknown as ReturnType<typeof logRecord>,
    );
    for (let batch = 0; batch < 3; batch++) await new Promise((done) => exporter.export(records, done));
    expect(reads).toBe(1);
    await provider.shutdown();
  });

  // (9)
  it('the exporter opens sockets and timers outside of the request that logs, and untraced', async () => {
    const manager = new AsyncLocalStorageContextManager().enable();
    context.setGlobalContextManager(manager);
    const request = new AsyncLocalStorage<string>();
    const receiver = await listen({ messageFaults: [{ kind: 'reset', when: 'before ack' }] });
    const seen: { request: string | undefined; untraced: boolean; what: string }[] = [];
    const see = (what: string) =>
      seen.push({ what, request: request.getStore(), untraced: isTracingSuppressed(context.active()) });
    diag.setLogger(
      { error: () => {}, info: () => see('socket'), debug: () => {}, verbose: () => {}, warn: () => see('socket') },
      { suppressOverrideMessage: true },
    );
    const { logger, provider } = request.run('request 1', () =>
      simple({
        endpoint: 'tcp://fluent',
        resolver: async () => {
          see('resolver');
          return [{ address: '127.0.0.1', port: receiver.port }];
        },
      }),
    );
    request.run('request 2', () => logger.emit({ body: 'x' }));
    await until(() => receiver.entryCount === 2);
    await request.run('request 3', () => provider.shutdown());
    manager.disable();
    context.disable();
    expect(seen.map(({ what }) => what)).toEqual(['resolver', 'socket', 'socket', 'resolver', 'socket']);
    for (const { request: store, untraced } of seen)
      expect({ store, untraced }).toEqual({ store: undefined, untraced: true });
  });

  // (10)
  it('a process lives until the ack arrives, and no longer', async () => {
    const receiver = await listen({ messageFaults: [{ kind: 'delay', millis: 500 }] });
    let arrivedAt = 0;
    receiver.once('message', () => {
      arrivedAt = performance.now();
    });
    const ended = await run({ OTEL_EXPORTER_FLUENT_FORWARD_ENDPOINT: receiver.endpoint });
    const millis = performance.now() - arrivedAt;
    expect(ended).toMatchObject({ code: 0, stdout: '', stderr: '' });
    expect(receiver.messages.map(textOf).sort()).toEqual(['record 0', 'record 1', 'record 2']);
    expect(ended.millis).toBeGreaterThan(500);
    // A timer of the exporter that held the process would end after 20 s or more.
    expect(millis).toBeLessThan(15_000);
  });

  // (11)
  it('the exporter prints one warning, of the first loss in a process, and nothing else', async () => {
    const ended = await run({
      OTEL_EXPORTER_FLUENT_FORWARD_ENDPOINT: NOWHERE,
      OTEL_EXPORTER_FLUENT_FORWARD_TIMEOUT: '1000',
    });
    expect(ended).toMatchObject({ code: 0, stdout: '' });
    expect(ended.stderr.match(/\[FLUENT_FORWARD_EXPORT_FAILED\]/g)).toHaveLength(1);
    expect(ended.stderr).toMatch(
      /1 of 1 log records were not acknowledged by tcp:\/\/127\.0\.0\.1:1: no ack within 1000 ms/,
    );
    expect(ended.stderr).toMatch(/connection refused; is the receiver running/);
    expect(ended.stderr).toMatch(/diag\.setLogger\(new DiagConsoleLogger\(\)/);
  });

  function run(variables: Record<string, string>) {
    const env = { ...LONG_LIMIT_VARIABLES, SDK: resolveIn(SDK_LINE, '@opentelemetry/sdk-logs'), ...variables };
    return runProgram('test/contract/program.mjs', { env });
  }
});

describe('exports that end at once', () => {
  it('an empty batch succeeds without a connection', async () => {
    const receiver = await listen();
    const exporter = new FluentForwardLogExporter({ ...LONG_LIMITS, endpoint: receiver.endpoint });
    expect(await exportBodies(exporter)).toEqual({ code: 0 });
    await exporter.shutdown();
    expect(receiver.connectionCount).toBe(0);
  });

  it('an export fails before it is encoded while maxInFlightBytes wait for acks', async () => {
    const receiver = await listen({ messageFaults: [{ kind: 'delay', millis: 50 }] });
    const exporter = new FluentForwardLogExporter({
      ...LONG_LIMITS,
      endpoint: receiver.endpoint,
      maxInFlightBytes: 2048,
    });
    let encoded = 0;
    const body = {
      toJSON: () => {
        encoded++;
        return 'x';
      },
    };
    // Each counts at least 1 KiB.
    const accepted = [exportBodies(exporter, body), exportBodies(exporter, body)];
    const { error } = await exportBodies(exporter, body);
    expect(error?.code).toBe('FLUENT_FORWARD_IN_FLIGHT_LIMIT');
    expect(error?.message).toMatch(/2048 bytes already wait for their acks \(maxInFlightBytes is 2048\)/);
    expect(encoded).toBe(2);
    for (const result of accepted) expect((await result).code).toBe(0);
    expect((await exportBodies(exporter, body)).code).toBe(0);
    await exporter.shutdown();
  });

  it('a batch fails if none of its records can be encoded', async () => {
    const receiver = await listen();
    const exporter = new FluentForwardLogExporter({
      ...LONG_LIMITS,
      endpoint: receiver.endpoint,
      maxStringBytes: 6_000_000,
    });
    const tooLarge = Array.from({ length: 3 }, () => 'x'.repeat(2_500_000));
    const { error } = await exportBodies(exporter, tooLarge);
    expect(error?.code).toBe('FLUENT_FORWARD_UNENCODABLE');
    expect(error?.message).toMatch(/no record could be encoded: it takes more than 6000000 bytes/);
    expect((await exportBodies(exporter, tooLarge, 'small')).code).toBe(0);
    expect(receiver.entryCount).toBe(1);
    expect(warnings()[0]).toMatch(
      /dropped 1 of 1 log records: it takes more than 6000000 bytes, the most a receiver accepts/,
    );
    await exporter.shutdown();
  });

  it('an export whose own values shut the exporter down fails at once', async () => {
    const receiver = await listen();
    const exporter = new FluentForwardLogExporter({
      ...LONG_LIMITS,
      endpoint: receiver.endpoint,
      flushTimeoutMillis: 60_000,
    });
    const start = performance.now();
    const { error } = await exportBodies(exporter, { toJSON: () => void exporter.shutdown() });
    expect(error?.code).toBe('FLUENT_FORWARD_SHUT_DOWN');
    expect(performance.now() - start).toBeLessThan(20_000);
  });

  it('an export that a listener starts while shutdown closes a connection fails at once', async () => {
    const receiver = await listen();
    const exporter = new FluentForwardLogExporter({
      ...LONG_LIMITS,
      endpoint: receiver.endpoint,
      flushTimeoutMillis: 60_000,
    });
    await exportBodies(exporter, 'a');
    let late: Promise<Result> | undefined;
    const onClosed = () => {
      late ??= exportBodies(exporter, 'late');
    };
    subscribe('fluent-forward:connection:closed', onClosed);
    const start = performance.now();
    await exporter.shutdown();
    const { error } = (await late) as Result;
    unsubscribe('fluent-forward:connection:closed', onClosed);
    expect(error?.code).toBe('FLUENT_FORWARD_SHUT_DOWN');
    expect(performance.now() - start).toBeLessThan(20_000);
  });
});

function fail(): never {
  throw new Error('from the application');
}
