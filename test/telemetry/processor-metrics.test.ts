import { LoggerProvider } from '@opentelemetry/sdk-logs';
import {
  ATTR_ERROR_TYPE,
  METRIC_OTEL_SDK_EXPORTER_LOG_EXPORTED,
  METRIC_OTEL_SDK_EXPORTER_LOG_INFLIGHT,
  METRIC_OTEL_SDK_EXPORTER_OPERATION_DURATION,
  METRIC_OTEL_SDK_PROCESSOR_LOG_PROCESSED,
  METRIC_OTEL_SDK_PROCESSOR_LOG_QUEUE_CAPACITY,
  METRIC_OTEL_SDK_PROCESSOR_LOG_QUEUE_SIZE,
} from '@opentelemetry/semantic-conventions/incubating';
import { describe, expect, it } from 'vitest';
import { FluentForwardLogRecordProcessor } from '../../src/index.ts';
import { Counters } from '../../src/stats.ts';
import { queueCapacity } from '../../src/telemetry/queue-capacity.ts';
import { ForwardReceiver } from '../../src/testing/index.ts';
import { until } from '../support/fake-clock.ts';
import { HeldAck } from '../support/held-ack.ts';
import { TestMeter } from '../support/meter.ts';
import { COMPONENT, processorMetrics } from '../support/processor-metrics.ts';

const PROCESSED = METRIC_OTEL_SDK_PROCESSOR_LOG_PROCESSED;
const DROPPED = 'fluent_forward.record.dropped';
const REASON = 'fluent_forward.drop.reason';

const volume = (records: number) => ({ records, bytes: 10 * records, rawBytes: 10 * records });

/** Counters of a processor that has lost records for every reason, as they are counted on the way. */
function lossy() {
  const meter = new TestMeter();
  const made = processorMetrics(meter.provider);
  const { counters, memory } = made;
  counters.emittedRecords = 1_000;
  counters.heldRecords = 700;
  // Of those that are held.
  counters.acknowledge(volume(200));
  counters.filteredRecords = 50;
  Object.assign(counters.dropped, { shed: 120, memory: 60, unencodable: 30, refused: 25, shut_down: 15 });
  counters.droppedRecords = 30;
  counters.oversizeRecords = 10;
  counters.failed('FLUENT_FORWARD_CHUNK_REFUSED', volume(25));
  memory.usedBytes = 250_000;
  return { meter, ...made };
}

describe('the metrics of a processor', () => {
  it('each metric has the kind, unit and attributes of the semantic conventions', async () => {
    const { meter } = lossy();
    const collected = new Map((await meter.collect()).map((metric) => [metric.descriptor.name, metric]));
    for (const [name, isMonotonic, value] of [
      [METRIC_OTEL_SDK_PROCESSOR_LOG_QUEUE_SIZE, false, 500],
      [METRIC_OTEL_SDK_PROCESSOR_LOG_QUEUE_CAPACITY, false, 2_583],
      [METRIC_OTEL_SDK_EXPORTER_LOG_INFLIGHT, false, 500],
      [PROCESSED, true, 250],
      [METRIC_OTEL_SDK_EXPORTER_LOG_EXPORTED, true, 200],
      ['fluent_forward.record.emitted', true, 1_000],
    ] as const) {
      expect(collected.get(name), name).toMatchObject({ descriptor: { unit: '{log_record}' }, isMonotonic });
      expect(collected.get(name)?.dataPoints[0], name).toMatchObject({ value, attributes: COMPONENT });
      expect(collected.get(name)?.dataPoints[0]?.attributes, name).toEqual(COMPONENT);
    }
  });

  it('a processor has no durations of operations, because it has no exports with a result', async () => {
    const meter = new TestMeter();
    const { metrics } = processorMetrics(meter.provider);
    metrics.acknowledged(5);
    metrics.timed(() => {})({ code: 0 });
    const names = (await meter.collect()).map(({ descriptor }) => descriptor.name);
    expect(names).toContain('fluent_forward.ack.duration');
    expect(names).not.toContain(METRIC_OTEL_SDK_EXPORTER_OPERATION_DURATION);
  });

  it('the records of a full queue and those after the shutdown have the reserved error types', async () => {
    const { meter } = lossy();
    expect(await meter.valuesBy(PROCESSED, ATTR_ERROR_TYPE)).toEqual({
      '': 250,
      queue_full: 180,
      shut_down: 15,
      unencodable: 30,
      refused: 25,
      no_endpoint: 0,
      process_end: 0,
      spool_full: 0,
      spool_age: 0,
    });
  });

  it('each lost record is counted once, by its reason', async () => {
    const { meter } = lossy();
    const dropped = { shed: 120, memory: 60, unencodable: 20, oversize: 10, refused: 25, shut_down: 15 };
    expect(await meter.valuesBy(DROPPED, REASON)).toEqual({
      ...dropped,
      no_endpoint: 0,
      process_end: 0,
      spool_full: 0,
      spool_age: 0,
    });
    expect(await meter.valuesBy(METRIC_OTEL_SDK_EXPORTER_LOG_EXPORTED, ATTR_ERROR_TYPE)).toEqual({
      '': 200,
      FLUENT_FORWARD_UNENCODABLE: 30,
      FLUENT_FORWARD_CHUNK_REFUSED: 25,
    });
  });

  it('the emitted records are those that are processed and those in the queue', async () => {
    const { meter } = lossy();
    const total = async (name: string) =>
      (await meter.points(name)).reduce((sum, { value }) => sum + (value as number), 0);
    const processed = await total(PROCESSED);
    const queued = await total(METRIC_OTEL_SDK_PROCESSOR_LOG_QUEUE_SIZE);
    expect(processed + queued).toBe(await total('fluent_forward.record.emitted'));
    const lost = await total(DROPPED);
    expect(await meter.valuesBy(PROCESSED, ATTR_ERROR_TYPE)).toMatchObject({ '': processed - lost });
  });

  it('each reason has the count 0 before the first loss, so that the first loss is in a rate', async () => {
    const meter = new TestMeter();
    const { counters } = processorMetrics(meter.provider);
    const reasons = [...Object.keys(counters.dropped), 'oversize'];
    const none = Object.fromEntries(reasons.map((reason) => [reason, 0]));
    expect(await meter.valuesBy(DROPPED, REASON)).toEqual(none);
    expect(await meter.points(METRIC_OTEL_SDK_PROCESSOR_LOG_QUEUE_CAPACITY)).toEqual([]);
  });
});

it('a processor has the metrics of its own records, from the first one to its shutdown', async () => {
  const held = new HeldAck();
  const receiver = await ForwardReceiver.listen({ messageFaults: [held.fault] });
  const meter = new TestMeter();
  const processor = new FluentForwardLogRecordProcessor({
    endpoint: receiver.endpoint,
    maxInFlightBytes: 1_000_000,
    ackTimeoutMillis: 20_000,
    flushTimeoutMillis: 20_000,
    selfObsMeterProvider: meter.provider,
    layout: ({ body }, entry) => (body === 'filtered' ? undefined : entry),
  });
  const value = async (name: string) => (await meter.points(name))[0]?.value;
  const logger = new LoggerProvider({ processors: [processor] }).getLogger('test');
  for (const body of ['a', 'filtered', 'b']) logger.emit({ body });
  await until(() => receiver.entryCount === 2);
  expect((await meter.points('fluent_forward.record.emitted'))[0]).toMatchObject({
    value: 3,
    attributes: {
      'otel.component.type': 'fluent_forward_log_processor',
      'otel.component.name': processor.name,
      'server.address': '127.0.0.1',
      'server.port': receiver.port,
    },
  });
  expect(await value(METRIC_OTEL_SDK_PROCESSOR_LOG_QUEUE_SIZE)).toBe(2);
  expect(await value(METRIC_OTEL_SDK_PROCESSOR_LOG_QUEUE_CAPACITY)).toBeGreaterThan(2);
  expect(await value(PROCESSED)).toBe(1);
  expect(await value('fluent_forward.inflight.size')).toBe(processor.stats().held.bytes);
  expect(await value('fluent_forward.inflight.limit')).toBe(1_000_000);
  held.release();
  await processor.shutdown();
  logger.emit({ body: 'too late' });
  expect(await value(METRIC_OTEL_SDK_PROCESSOR_LOG_QUEUE_SIZE)).toBe(0);
  expect(await meter.valuesBy(PROCESSED, ATTR_ERROR_TYPE)).toMatchObject({ '': 3, shut_down: 1 });
  await receiver.close();
});

describe('the estimated capacity of the queue', () => {
  function capacity(held: number, usedBytes: number, acknowledged = { records: 0, bytes: 0 }) {
    const counters = new Counters();
    counters.acknowledged.add({ ...acknowledged, rawBytes: 0 });
    counters.heldRecords = held;
    return queueCapacity(counters, { usedBytes, limitBytes: 1_000_000 });
  }

  it.each([
    ['no record has come yet', 0, 0, undefined, undefined],
    ['an open chunk has memory and no record has come yet', 0, 1_024, undefined, undefined],
    ['nothing is held: the bound by the mean size', 0, 0, { records: 1_000, bytes: 200_000 }, 5_000],
    ['nothing was acknowledged: the bound by the size of the held ones', 100, 50_000, undefined, 2_000],
    ['one held record takes a whole buffer', 1, 16_384, { records: 9_999, bytes: 1_983_616 }, 4_919],
    ['the memory is full', 1_234, 1_000_000, { records: 1_000, bytes: 200_000 }, 1_234],
    ['the memory is above its bound', 1_234, 1_050_000, { records: 1_000, bytes: 200_000 }, 1_234],
  ])('%s', (_, held, usedBytes, acknowledged, expected) => {
    expect(capacity(held, usedBytes, acknowledged)).toBe(expected);
  });
});
