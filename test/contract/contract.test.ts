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
import { runProgram } from '../support/run-program.ts';
import { resolveIn, SDK_LINE } from '../support/sdk-line.ts';

const { listen, log, warnings } = exporterFixture();

/** Nothing listens there. */
const NOWHERE = 'tcp://127.0.0.1:1';

// The numbers are those of the SDK's contract with an exporter, as the project's design counts them.
describe('the exporter under the SDK', () => {
  function batching(options: FluentForwardLogExporterOptions, processorOptions: object = {}) {
    const exporter = new FluentForwardLogExporter(options);
    const provider = new LoggerProvider({
      processors: [new BatchLogRecordProcessor({ exporter, scheduledDelayMillis: 10, ...processorOptions })],
    });
    return { exporter, provider, logger: provider.getLogger('test') };
  }

  function simple(options: FluentForwardLogExporterOptions) {
    const exporter = new FluentForwardLogExporter(options);
    const provider = new LoggerProvider({ processors: [new SimpleLogRecordProcessor({ exporter })] });
    return { exporter, provider, logger: provider.getLogger('test') };
  }

  it('(1) never throws, whatever a record holds, and calls back once, in a later turn', async () => {
    const receiver = await listen();
    const exporter = new FluentForwardLogExporter({ endpoint: receiver.endpoint });
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

  it('(1) calls back within its deadline, below that of the processor', async () => {
    const { logger, provider } = batching({ endpoint: NOWHERE, timeoutMillis: 200 }, { exportTimeoutMillis: 5_000 });
    logger.emit({ body: 'x' });
    const start = performance.now();
    await provider.forceFlush();
    expect(performance.now() - start).toBeLessThan(4_000);
    // The processor tells the error; `Timeout` would be its own.
    expect(warnings().some((text) => /no ack within 200 ms/.test(text))).toBe(true);
    await provider.shutdown();
  });

  it('(2) takes overlapping exports, and fails those after shutdown() with a clear error', async () => {
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

  it('(3) never rejects forceFlush(), also several at once and against a dead receiver, and bounds it', async () => {
    const { exporter, logger, provider } = batching({ endpoint: NOWHERE, flushTimeoutMillis: 300 });
    for (let i = 0; i < 2048; i++) logger.emit({ body: i });
    const start = performance.now();
    await Promise.all([provider.forceFlush(), exporter.forceFlush(), exporter.forceFlush()]);
    await provider.forceFlush();
    expect(performance.now() - start).toBeLessThan(2_000);
    await expect(provider.shutdown()).resolves.toBeUndefined();
    await expect(exporter.forceFlush()).resolves.toBeUndefined();
  });

  it('(4) shuts down within one flush budget with a full queue and a dead receiver, and only once', async () => {
    const { exporter, logger, provider } = batching(
      { endpoint: NOWHERE, flushTimeoutMillis: 500 },
      { scheduledDelayMillis: 60_000 },
    );
    for (let i = 0; i < 2048; i++) logger.emit({ body: i });
    const start = performance.now();
    await provider.shutdown();
    const millis = performance.now() - start;
    expect(millis).toBeGreaterThan(400);
    expect(millis).toBeLessThan(1_500);
    expect(exporter.shutdown()).toBe(exporter.shutdown());
    await exporter.shutdown();
  });

  it('(4) drains what is in flight at shutdown()', async () => {
    const receiver = await listen({ messageFaults: () => ({ kind: 'delay', millis: 20 }) });
    const { logger, provider } = simple({ endpoint: receiver.endpoint });
    for (let i = 0; i < 10; i++) logger.emit({ body: i });
    expect(receiver.entryCount).toBe(0);
    await provider.shutdown();
    expect(receiver.entryCount).toBe(10);
    await until(() => receiver.openConnections === 0);
  });

  it('(5) leaves the telling of a failed batch to the processor', async () => {
    const { logger, provider } = batching({ endpoint: NOWHERE, timeoutMillis: 100 });
    logger.emit({ body: 'x' });
    await provider.forceFlush();
    await provider.shutdown();
    const told = log.filter(([, text]) => /FluentForwardExportError/.test(text));
    // The processor's own line comes through the global error handler, as an error.
    expect(told.map(([level]) => level)).toEqual(['error']);
    expect(warnings().filter((text) => /1 of 1 log records were not acknowledged/.test(text))).toHaveLength(1);
  });

  it('(6) encodes before export() returns', async () => {
    const receiver = await listen();
    const { logger, provider } = simple({ endpoint: receiver.endpoint });
    const body = { step: 'at emit' };
    logger.emit({ body });
    body.step = 'later';
    await provider.shutdown();
    expect(receiver.entries[0]?.record).toMatchObject({ body: { step: 'at emit' } });
  });

  it('(7) keeps the time to the nanosecond, and finds one where there is none', async () => {
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

  it('(8) encodes a resource and a scope once', async () => {
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

  it('(9) opens sockets and timers outside of the request that logs, and untraced', async () => {
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
    await receiver.waitForEntries(2);
    await request.run('request 3', () => provider.shutdown());
    manager.disable();
    context.disable();
    expect(seen.map(({ what }) => what)).toEqual(['resolver', 'socket', 'socket', 'resolver', 'socket']);
    for (const { request: store, untraced } of seen)
      expect({ store, untraced }).toEqual({ store: undefined, untraced: true });
  });

  it('(10) holds the process until the ack, and no longer', async () => {
    const receiver = await listen({ messageFaults: [{ kind: 'delay', millis: 500 }] });
    const ended = await run({ OTEL_EXPORTER_FLUENT_FORWARD_ENDPOINT: receiver.endpoint });
    expect(ended).toMatchObject({ code: 0, stdout: '', stderr: '' });
    expect(receiver.messages.map(textOf).sort()).toEqual(['record 0', 'record 1', 'record 2']);
    expect(ended.millis).toBeGreaterThan(500);
    expect(ended.millis).toBeLessThan(5_000);
  });

  it('(11) writes to no console, but for one warning of the first loss in a process', async () => {
    const ended = await run({
      OTEL_EXPORTER_FLUENT_FORWARD_ENDPOINT: NOWHERE,
      OTEL_EXPORTER_FLUENT_FORWARD_TIMEOUT: '300',
    });
    expect(ended).toMatchObject({ code: 0, stdout: '' });
    expect(ended.stderr.match(/\[FLUENT_FORWARD_EXPORT_FAILED\]/g)).toHaveLength(1);
    expect(ended.stderr).toMatch(
      /1 of 1 log records were not acknowledged by tcp:\/\/127\.0\.0\.1:1: no ack within 300 ms/,
    );
    expect(ended.stderr).toMatch(/connection refused; is the receiver running/);
    expect(ended.stderr).toMatch(/diag\.setLogger\(new DiagConsoleLogger\(\)/);
  });

  function run(variables: Record<string, string>) {
    const env = { SDK: resolveIn(SDK_LINE, '@opentelemetry/sdk-logs'), ...variables };
    return runProgram('test/contract/program.mjs', { env });
  }
});

describe('the bounds of the exporter', () => {
  it('succeed for an empty batch without I/O', async () => {
    const receiver = await listen();
    const exporter = new FluentForwardLogExporter({ endpoint: receiver.endpoint });
    expect(await exportBodies(exporter)).toEqual({ code: 0 });
    await exporter.shutdown();
    expect(receiver.connectionCount).toBe(0);
  });

  it('fail an export at once, before encoding, while maxInFlightBytes wait', async () => {
    const receiver = await listen({ messageFaults: [{ kind: 'delay', millis: 50 }] });
    const exporter = new FluentForwardLogExporter({ endpoint: receiver.endpoint, maxInFlightBytes: 2048 });
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

  it('fail a batch of which nothing is left', async () => {
    const receiver = await listen();
    const exporter = new FluentForwardLogExporter({ endpoint: receiver.endpoint, maxStringBytes: 6_000_000 });
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

  it('fail an export at once whose own values shut the exporter down', async () => {
    const receiver = await listen();
    const exporter = new FluentForwardLogExporter({ endpoint: receiver.endpoint });
    const start = performance.now();
    const { error } = await exportBodies(exporter, { toJSON: () => void exporter.shutdown() });
    expect(error?.code).toBe('FLUENT_FORWARD_SHUT_DOWN');
    expect(performance.now() - start).toBeLessThan(5_000);
  });

  it('fail an export at once that its own closing of connections leads to', async () => {
    const receiver = await listen();
    const exporter = new FluentForwardLogExporter({ endpoint: receiver.endpoint });
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
    expect(performance.now() - start).toBeLessThan(5_000);
  });
});

function fail(): never {
  throw new Error('from the application');
}
