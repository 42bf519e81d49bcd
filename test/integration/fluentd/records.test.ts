import { isDeepStrictEqual } from 'node:util';
import { DiagLogLevel, diag } from '@opentelemetry/api';
import type { AnyValue } from '@opentelemetry/api-logs';
import { LoggerProvider } from '@opentelemetry/sdk-logs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { FluentForwardLogExporter, type FluentForwardLogExporterOptions } from '../../../src/index.ts';
import { VALUES } from '../../encode/values.ts';
import { LONG_LIMITS } from '../../support/long-limits.ts';
import { batchEncoder } from '../../support/records.ts';
import { SDKS } from '../sdks.ts';
import { asJson } from './as-json.ts';
import { batchProcessor } from './batch-processor.ts';
import { Fluentd } from './fluentd.ts';
import { ATTRIBUTE_LIMIT, LOGGERS, mixedRecord, RESOURCES } from './mixed-records.ts';
import { RecordingExporter } from './recording-exporter.ts';

/** For 20,000 records on a busy machine. */
const TEST_LIMIT_MILLIS = 300_000;

/** The exporter's warnings and errors in the test. */
let warnings: string[] = [];

beforeEach(() => {
  warnings = [];
  const record = (namespace: string, ...rest: unknown[]) => {
    if (namespace === 'opentelemetry-exporter-fluent-forward') warnings.push(rest.join(' '));
  };
  diag.setLogger(
    { error: record, warn: record, info: () => {}, debug: () => {}, verbose: () => {} },
    { logLevel: DiagLogLevel.ALL, suppressOverrideMessage: true },
  );
});
afterEach(() => diag.disable());

describe.each(SDKS)('records of the $line', ({ line, sdk }) => {
  test.for([
    { RECORDS: 20_000, compression: 'none' },
    { RECORDS: 5_000, compression: 'gzip' },
  ] as const)(
    `Fluentd gets $RECORDS mixed records of the ${line} once each over rotating connections with compression: $compression`,
    {
      timeout: TEST_LIMIT_MILLIS,
    },
    async ({ RECORDS, compression }, { annotate }) => {
      const fluentd = await Fluentd.start();
      const exporter = exporterTo(fluentd, { rotationIntervalMillis: 200, compression });
      const recorder = new RecordingExporter(exporter);
      const providers = RESOURCES.map(
        (attributes, i) =>
          new sdk.LoggerProvider({
            resource: sdk.resourceFromAttributes(attributes),
            processors: [batchProcessor(recorder, 100, sdk.BatchLogRecordProcessor)],
            ...(i === 1 ? { logRecordLimits: { attributeCountLimit: ATTRIBUTE_LIMIT } } : {}),
          }),
      );
      const loggers = LOGGERS.map(({ provider, name, version, schemaUrl }) =>
        providers[provider]?.getLogger(name, version, schemaUrl === undefined ? {} : { schemaUrl }),
      );

      const startedAt = performance.now();
      for (let n = 0; n < RECORDS; n++) {
        const { record, logger } = mixedRecord(n);
        loggers[logger]?.emit(record);
        // More than that, and the processors' queues would overflow.
        await recorder.until(() => n - recorder.settledRecords < 500);
      }
      await Promise.all(providers.map((provider) => provider.forceFlush()));
      await Promise.all(providers.map((provider) => provider.shutdown()));
      const seconds = (performance.now() - startedAt) / 1000;

      expect(recorder.failures).toEqual([]);
      expect(recorder.acknowledged).toHaveLength(RECORDS);
      const { bytes, rawBytes } = exporter.stats().sent;
      expect(bytes < rawBytes / 2).toBe(compression === 'gzip');
      const lines = await fluentd.output();
      const byTime = new Map(lines.map((line) => [(JSON.parse(line) as Line).fluent_time, line]));
      const wrong: unknown[] = [];
      for (let n = 0; n < RECORDS; n++) {
        const { expected, contains = '' } = mixedRecord(n);
        const line = byTime.get(expected.fluent_time);
        const received: unknown = line === undefined ? 'nothing' : JSON.parse(line);
        if (!isDeepStrictEqual(received, expected) || !line?.includes(contains)) wrong.push({ n, received, expected });
      }
      expect(wrong.slice(0, 3)).toEqual([]);
      expect(lines).toHaveLength(RECORDS);
      expect(byTime.size).toBe(RECORDS);
      // How many more it is depends on the machine.
      expect(fluentd.connections).toBeGreaterThan(1);
      expect(new Set(fluentd.acks).size).toBe(fluentd.acks.length);
      expect(fluentd.complaints).toEqual([]);
      expect(warnings).toEqual([]);
      await annotate(`${seconds.toFixed(1)} s, ${fluentd.acks.length} chunks on ${fluentd.connections} connections`);
    },
  );
});

describe('the JSON of Fluentd', () => {
  test('Fluentd writes every kind of value as JSON without a warning', async () => {
    const fluentd = await Fluentd.start();
    const recorder = new RecordingExporter(exporterTo(fluentd));
    const provider = new LoggerProvider({
      processors: [batchProcessor(recorder, VALUES.length)],
    });
    const logger = provider.getLogger('values');
    const encoder = batchEncoder();
    for (const { name, value } of VALUES) {
      logger.emit({ eventName: name, body: value(encoder) as AnyValue });
    }
    await provider.forceFlush();
    await provider.shutdown();

    expect(recorder.failures).toEqual([]);
    const lines = await fluentd.output();
    expect(fluentd.complaints).toEqual([]);
    expect(warnings).toEqual([]);
    expect(lines).toHaveLength(VALUES.length);
    const byName = new Map(lines.map((line) => [(JSON.parse(line) as Line).event_name, line]));
    for (const { name, expected } of VALUES) {
      const line = byName.get(name) ?? '{}';
      const { message, body = message } = JSON.parse(line) as Line;
      const { json, digits } = asJson(expected);
      expect(isDeepStrictEqual(body, json), `${name}: ${line.slice(0, 1_000)}`).toBe(true);
      for (const digit of digits) expect(line).toContain(digit);
    }
  });

  test('Fluentd writes every kind of time as JSON without a warning', async () => {
    const fluentd = await Fluentd.start();
    const provider = new LoggerProvider({
      processors: [batchProcessor(exporterTo(fluentd), 100)],
    });
    const logger = provider.getLogger('times');
    const OBSERVED = '1700000001.000000005';
    const TIMES: [timestamp: [number, number], written: string][] = [
      [[1_700_000_000, 0], '1700000000.000000000'],
      [[1_700_000_000, 1], '1700000000.000000001'],
      [[1_700_000_000, 999_999_999], '1700000000.999999999'],
      [[1, 0], '1.000000000'],
      [[1, 2e9], '3.000000000'],
      [[1.5, 0.5], '1.500000000'],
      [[0xfffffffd, 999_999_999], '4294967293.999999999'],
      [[0xfffffffe, 0], OBSERVED],
      [[0xffffffff, 0], OBSERVED],
      [[0, 0], OBSERVED],
      [[-1, 0], OBSERVED],
      [[Number.NaN, 0], OBSERVED],
      [[0, Number.POSITIVE_INFINITY], OBSERVED],
    ];
    for (const [timestamp] of TIMES) {
      logger.emit({ body: String(timestamp), timestamp, observedTimestamp: [1_700_000_001, 5] });
    }
    const before = Date.now();
    logger.emit({ body: 'none', timestamp: [0, 0], observedTimestamp: [0, 0] });
    await provider.forceFlush();
    await provider.shutdown();
    const after = Date.now();

    const lines = (await fluentd.output()).map((line) => JSON.parse(line) as Line);
    const { none, ...written } = Object.fromEntries(lines.map(({ message, fluent_time }) => [message, fluent_time]));
    expect(fluentd.complaints).toEqual([]);
    expect(lines).toHaveLength(TIMES.length + 1);
    expect(written).toEqual(Object.fromEntries(TIMES.map(([timestamp, time]) => [String(timestamp), time])));
    const noneMillis = Math.round(Number(none) * 1000);
    expect(noneMillis).toBeGreaterThanOrEqual(before);
    expect(noneMillis).toBeLessThanOrEqual(after);
  });
});

/** A line of Fluentd's output. */
type Line = Readonly<Record<string, unknown>>;

function exporterTo(
  fluentd: Fluentd,
  options: Partial<FluentForwardLogExporterOptions> = {},
): FluentForwardLogExporter {
  return new FluentForwardLogExporter({ ...LONG_LIMITS, endpoint: fluentd.endpoint, ...options });
}
