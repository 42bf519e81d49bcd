import { readFileSync } from 'node:fs';
import {
  type BatchObservableCallback,
  createNoopMeter,
  type Meter,
  type MeterProvider,
  type MetricOptions,
  metrics,
} from '@opentelemetry/api';
import type { Histogram } from '@opentelemetry/sdk-metrics';
import {
  ATTR_ERROR_TYPE,
  ATTR_NETWORK_PEER_ADDRESS,
  ATTR_NETWORK_PEER_PORT,
  ATTR_OTEL_COMPONENT_NAME,
  ATTR_OTEL_COMPONENT_TYPE,
  ATTR_SERVER_ADDRESS,
  ATTR_SERVER_PORT,
  METRIC_OTEL_SDK_EXPORTER_LOG_EXPORTED,
  METRIC_OTEL_SDK_EXPORTER_LOG_INFLIGHT,
  METRIC_OTEL_SDK_EXPORTER_OPERATION_DURATION,
} from '@opentelemetry/semantic-conventions/incubating';
import { afterEach, describe, expect, it } from 'vitest';
import packageJson from '../../package.json' with { type: 'json' };
import type { ConnectionStats } from '../../src/stats.ts';
import { MAX_NAMED_ADDRESSES, PeerAttributes } from '../../src/telemetry/peer-attributes.ts';
import { advanceUntil, connected, exporterFixture, named, sendOver } from '../support/exporter-fixture.ts';
import { settle, until } from '../support/fake-clock.ts';
import { logRecord, type Result } from '../support/harness.ts';
import { HeldAck } from '../support/held-ack.ts';
import { TestMeter } from '../support/meter.ts';
import { processorMetrics } from '../support/processor-metrics.ts';

const { listen, start, warnings } = exporterFixture();
const INFLIGHT = METRIC_OTEL_SDK_EXPORTER_LOG_INFLIGHT;
const EXPORTED = METRIC_OTEL_SDK_EXPORTER_LOG_EXPORTED;
const OPERATION = METRIC_OTEL_SDK_EXPORTER_OPERATION_DURATION;
/** Too large for any message. */
const OVERSIZE = Array.from({ length: 30 }, () => 'x'.repeat(262_000));
const body = (n: number) => `${n} `.padEnd(1500, 'x');

afterEach(() => metrics.disable());

/** An exporter whose metrics can be collected. */
function observed(options: Parameters<typeof start>[0]) {
  const meter = new TestMeter();
  return { meter, ...start({ selfObsMeterProvider: meter.provider, ...options }) };
}

describe('the metrics of the semantic conventions', () => {
  it('each metric has the kind, unit and attributes of the semantic conventions', async () => {
    const receiver = await listen();
    const { meter, exporter, send } = observed({ endpoint: receiver.endpoint });
    await send('a', 'b');
    const attributes = {
      [ATTR_OTEL_COMPONENT_TYPE]: 'fluent_forward_log_exporter',
      [ATTR_OTEL_COMPONENT_NAME]: exporter.name,
      [ATTR_SERVER_ADDRESS]: '127.0.0.1',
      [ATTR_SERVER_PORT]: receiver.port,
    };
    const collected = new Map((await meter.collect()).map((metric) => [metric.descriptor.name, metric]));
    expect(exporter.name).toMatch(/^fluent_forward_log_exporter\/\d+$/);
    expect(collected.get(INFLIGHT)).toMatchObject({
      scope: { name: packageJson.name, version: packageJson.version },
      descriptor: { unit: '{log_record}' },
      isMonotonic: false,
      dataPoints: [{ value: 0, attributes }],
    });
    expect(collected.get(EXPORTED)).toMatchObject({
      descriptor: { unit: '{log_record}' },
      isMonotonic: true,
      dataPoints: [{ value: 2, attributes }],
    });
    expect(collected.get(OPERATION)).toMatchObject({
      descriptor: { unit: 's' },
      dataPoints: [{ value: { count: 1 }, attributes }],
    });
    for (const name of [INFLIGHT, EXPORTED, OPERATION]) {
      expect(collected.get(name)?.dataPoints[0]?.attributes).toEqual(attributes);
    }
  });

  it('a record stays in flight over all its tries and is counted once when its export ends', async () => {
    const receiver = await listen({ messageFaults: [undefined, { kind: 'reset', when: 'before ack' }] });
    const held = new HeldAck();
    const { meter, clock, send } = observed({ endpoint: receiver.endpoint, maxChunkBytes: 2048 });
    const result = send(body(0), body(1));
    await until(() => warnings().length > 0);
    // One of two chunks is acknowledged, the other waits for its second try.
    expect(await meter.valuesBy(INFLIGHT, ATTR_ERROR_TYPE)).toEqual({ '': 2 });
    expect(await meter.valuesBy(EXPORTED, ATTR_ERROR_TYPE)).toEqual({ '': 0 });
    receiver.messageFaults = () => held.fault;
    await clock.advance(100);
    await until(() => receiver.entryCount === 3);
    expect(await meter.valuesBy(INFLIGHT, ATTR_ERROR_TYPE)).toEqual({ '': 2 });
    expect(await meter.valuesBy(EXPORTED, ATTR_ERROR_TYPE)).toEqual({ '': 0 });
    held.release();
    await result;
    expect(await meter.valuesBy(INFLIGHT, ATTR_ERROR_TYPE)).toEqual({ '': 0 });
    expect(await meter.valuesBy(EXPORTED, ATTR_ERROR_TYPE)).toEqual({ '': 2 });
  });

  it('failed records are counted by reason and apart from acknowledged records of the same batch', async () => {
    const receiver = await listen({ messageFaults: [undefined, { kind: 'withhold' }] });
    const { meter, clock, exporter, send } = observed({
      endpoint: receiver.endpoint,
      maxChunkBytes: 2048,
      // As much as the chunk holds that is not acknowledged.
      maxInFlightBytes: 1_792,
      timeoutMillis: 1_000,
      rotationIntervalMillis: 0,
      layout: ({ body }, entry) => (body === 'filtered' ? undefined : entry),
    });
    const partly = send(body(0), body(1), OVERSIZE, 'filtered');
    await until(() => receiver.entryCount === 2);
    await send('over the bound');
    await clock.advance(1_000);
    await partly;
    await exporter.shutdown();
    await send('too', 'late');
    expect(await meter.valuesBy(EXPORTED, ATTR_ERROR_TYPE)).toEqual({
      '': 1,
      FLUENT_FORWARD_TIMEOUT: 1,
      FLUENT_FORWARD_UNENCODABLE: 1,
      FLUENT_FORWARD_IN_FLIGHT_LIMIT: 1,
      FLUENT_FORWARD_SHUT_DOWN: 2,
    });
    const operations = await meter.valuesBy(OPERATION, ATTR_ERROR_TYPE);
    expect(operations).toMatchObject({
      FLUENT_FORWARD_TIMEOUT: { count: 1, sum: 1 },
      FLUENT_FORWARD_IN_FLIGHT_LIMIT: { count: 1, sum: 0 },
      FLUENT_FORWARD_SHUT_DOWN: { count: 1, sum: 0 },
    });
  });

  it.each([
    ['tcp://a.test:1234', { [ATTR_SERVER_ADDRESS]: 'a.test', [ATTR_SERVER_PORT]: 1234 }],
    ['srv+tcp://_forward._tcp.a.test', { [ATTR_SERVER_ADDRESS]: '_forward._tcp.a.test' }],
    ['unix:///run/a.sock', { [ATTR_SERVER_ADDRESS]: '/run/a.sock' }],
    ['tcp://a.test,tcp://b.test', {}],
  ])('the metrics have the attributes of the server if there is one: %s', async (endpoint, server) => {
    const { meter, exporter } = observed({ endpoint });
    expect((await meter.points(INFLIGHT))[0]?.attributes).toEqual({
      [ATTR_OTEL_COMPONENT_TYPE]: 'fluent_forward_log_exporter',
      [ATTR_OTEL_COMPONENT_NAME]: exporter.name,
      ...server,
    });
  });
});

describe('the metrics of the package', () => {
  it('resent bytes count as sent, and resends and faults are counted by reason', async () => {
    const receiver = await listen({ messageFaults: [undefined, { kind: 'reset', when: 'before ack' }] });
    const { meter, clock, send } = observed({ endpoint: receiver.endpoint, rotationIntervalMillis: 0 });
    await send('a');
    const result = send('b');
    await until(() => warnings().length > 0);
    await clock.advance(100);
    await result;
    const [a = 0, b = 0, again = 0] = receiver.messages.map(({ bytes }) => bytes);
    expect(b).toBe(again);
    for (const name of ['fluent_forward.sent.raw', 'fluent_forward.sent.wire']) {
      expect(await meter.points(name)).toMatchObject([{ value: a + b + again }]);
    }
    expect(await meter.valuesBy('fluent_forward.chunk.resent', ATTR_ERROR_TYPE)).toEqual({
      FLUENT_FORWARD_CONNECTION_LOST: 1,
    });
    expect(await meter.valuesBy('fluent_forward.connection.fault', ATTR_ERROR_TYPE)).toEqual({
      FLUENT_FORWARD_CONNECTION_LOST: 1,
    });
  });

  it('sent bytes are counted both on the wire and before compression', async () => {
    const receiver = await listen();
    const { meter, send } = observed({ endpoint: receiver.endpoint, compression: 'gzip' });
    await send('x'.repeat(10_000));
    const [wire] = await meter.points('fluent_forward.sent.wire');
    expect(wire).toMatchObject({ value: receiver.messages[0]?.bytes });
    const [raw] = await meter.points('fluent_forward.sent.raw');
    expect(raw?.value).toBeGreaterThan(10_000);
  });

  it('dropped records are counted by the reason of the drop', async () => {
    const receiver = await listen({ messageFaults: () => ({ kind: 'withhold' }) });
    const { meter, clock, exporter, send } = observed({
      endpoint: receiver.endpoint,
      maxInFlightBytes: 1024,
      timeoutMillis: 1_000,
      layout: ({ body }, entry) => {
        if (body === 'bad') throw new Error('no layout for it');
        return body === 'filtered' ? undefined : entry;
      },
    });
    const unanswered = send('a', 'bad', 'bad', OVERSIZE, 'filtered');
    await until(() => receiver.entryCount === 1);
    expect(await meter.points('fluent_forward.inflight.size')).toMatchObject([
      { value: exporter.stats().inFlightBytes },
    ]);
    expect(exporter.stats().inFlightBytes).toBeGreaterThanOrEqual(1024);
    expect(await meter.points('fluent_forward.inflight.limit')).toMatchObject([{ value: 1024 }]);
    await send('b');
    await clock.advance(1_000);
    await unanswered;
    expect(await meter.valuesBy('fluent_forward.record.dropped', 'fluent_forward.drop.reason')).toEqual({
      unencodable: 2,
      oversize: 1,
      in_flight_limit: 1,
      timeout: 1,
    });
    expect(await meter.points('fluent_forward.record.filtered')).toMatchObject([{ value: 1 }]);
  });

  it('the durations of acks and dials are measured and failed dials have their reason', async () => {
    const receiver = await listen({ messageFaults: [{ kind: 'withhold' }] });
    const made = observed({
      endpoint: `tcp://127.0.0.1:1?weight=65535,${receiver.endpoint}`,
      ackTimeoutMillis: 3_000,
      rotationIntervalMillis: 0,
    });
    const { meter, clock, exporter, send } = made;
    let code: number | undefined;
    void send('a').then((result) => {
      code = result.code;
    });
    await until(() => receiver.entryCount === 1);
    await clock.advance(3_000);
    // The first connection stays, in case its ack comes late.
    const isBusy = () => exporter.stats().connections.some(({ state }) => state !== 'retiring');
    await advanceUntil(made, 100, () => code !== undefined, isBusy);
    expect(code).toBe(0);
    const [ack] = await meter.points('fluent_forward.ack.duration');
    // The ack of the resend counts. The clock stands still until it comes.
    expect(ack?.value).toMatchObject({ count: 1, sum: 0 });
    const dials = await meter.valuesBy('fluent_forward.dial.duration', ATTR_ERROR_TYPE);
    expect((dials.FLUENT_FORWARD_CONNECT_FAILED as Histogram).count).toBeGreaterThan(0);
    expect((dials[''] as Histogram).count).toBe(receiver.connectionCount);
  });

  it('the duration of an ack begins when the connection gets the chunk', async () => {
    const held = new HeldAck();
    const receiver = await listen({ messageFaults: [held.fault] });
    const { meter, clock, send } = observed({ endpoint: receiver.endpoint, rotationIntervalMillis: 0 });
    const result = send('a');
    await until(() => receiver.entryCount === 1);
    await clock.advance(200);
    held.release();
    await result;
    const { '': measured } = await meter.valuesBy('fluent_forward.ack.duration', ATTR_ERROR_TYPE);
    const { sum, buckets } = measured as Histogram;
    expect(sum).toBe(0.2);
    // The bucket between the bounds 0.1 and 0.25.
    expect(buckets.counts.indexOf(1)).toBe(buckets.boundaries.indexOf(0.25));
  });

  it('connections are counted by address and state and closed ones become 0', async () => {
    const [a, b] = [await listen(), await listen()];
    const made = observed({ ...named(a, b), rotationIntervalMillis: 1_000 });
    await made.send('a');
    const [first, second] = a.connectionCount === 1 ? [a, b] : [b, a];
    const count = async () =>
      Object.fromEntries(
        (await made.meter.points('fluent_forward.connection.count')).map(({ attributes, value }) => [
          `${attributes[ATTR_NETWORK_PEER_ADDRESS]} ${attributes[ATTR_NETWORK_PEER_PORT]} ${attributes['fluent_forward.connection.state']}`,
          value,
        ]),
      );
    expect(await count()).toEqual({ [`127.0.0.1 ${first.port} open`]: 1 });
    await made.clock.advance(500);
    await connected(made, 2);
    await sendOver(0, made, second);
    await connected(made, 1);
    expect(await count()).toEqual({ [`127.0.0.1 ${first.port} open`]: 0, [`127.0.0.1 ${second.port} open`]: 1 });
    expect(await made.meter.points('fluent_forward.connection.rotated')).toMatchObject([{ value: 1 }]);
  });

  it('addresses beyond the limit of named ones are counted together', () => {
    const peers = new PeerAttributes();
    const at = (n: number): ConnectionStats => ({
      endpoint: 'tcp://fluent:24224',
      address: n % 2 === 0 ? `10.0.0.${n}:24224` : `[fd00::${n}]:24224`,
      state: 'open',
      ageMillis: 0,
      inFlightChunks: 0,
    });
    for (let n = 0; n < MAX_NAMED_ADDRESSES; n++) peers.count([at(n)]);
    const late = [at(MAX_NAMED_ADDRESSES), at(MAX_NAMED_ADDRESSES + 1), at(1)];
    const counted = peers.count(late);
    expect(counted).toHaveLength(MAX_NAMED_ADDRESSES + 1);
    expect(counted.filter(([, count]) => count > 0)).toEqual([
      [
        {
          [ATTR_NETWORK_PEER_ADDRESS]: 'fd00::1',
          [ATTR_NETWORK_PEER_PORT]: 24224,
          'fluent_forward.connection.state': 'open',
        },
        1,
      ],
      [{ [ATTR_NETWORK_PEER_ADDRESS]: 'other', 'fluent_forward.connection.state': 'open' }, 2],
    ]);
  });
});

it('README.md lists every metric with its kind and unit', () => {
  const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
  const rows = readme.matchAll(/^\| `((?:otel\.sdk|fluent_forward)\.[\w.]+)` \| (\w+), `(.+?)` \| .+? \| .*\|$/gm);
  const made = new Map<string, readonly string[]>();
  const make = (kind: string) => (name: string, options: MetricOptions) => {
    made.set(name, [name, kind, options.unit as string]);
    return {};
  };
  const meter = {
    createHistogram: make('Histogram'),
    createObservableCounter: make('Counter'),
    createObservableUpDownCounter: make('UpDownCounter'),
    addBatchObservableCallback: () => {},
  } as unknown as Meter;
  start({ selfObsMeterProvider: { getMeter: () => meter } });
  processorMetrics({ getMeter: () => meter });
  expect([...rows].map((row) => row.slice(1, 4)).sort()).toEqual([...made.values()].sort());
});

describe('the metrics of an exporter', () => {
  it('the metrics of two exporters differ by otel.component.name', async () => {
    const receiver = await listen();
    const meter = new TestMeter();
    const options = { endpoint: receiver.endpoint, selfObsMeterProvider: meter.provider };
    const [one, two] = [start(options), start(options)];
    await one.send('a');
    await two.send('b', 'c');
    expect(one.exporter.name).not.toBe(two.exporter.name);
    expect(await meter.valuesBy(EXPORTED, ATTR_OTEL_COMPONENT_NAME)).toEqual({
      [one.exporter.name]: 1,
      [two.exporter.name]: 2,
    });
  });

  it('the last numbers of an exporter are collected once more after its shutdown and never again', async () => {
    const receiver = await listen();
    const meter = new TestMeter();
    const options = { endpoint: receiver.endpoint, selfObsMeterProvider: meter.provider };
    const removed = start(options);
    const other = start(options);
    await removed.send('a');
    await meter.collect();
    void removed.send('b');
    await removed.exporter.shutdown();
    await other.send('c');
    // Both, though the first is removed meanwhile.
    expect(await meter.valuesBy(EXPORTED, ATTR_OTEL_COMPONENT_NAME)).toEqual({
      [removed.exporter.name]: 2,
      [other.exporter.name]: 1,
    });
    expect(await meter.valuesBy('fluent_forward.connection.count', ATTR_OTEL_COMPONENT_NAME)).toEqual({
      [removed.exporter.name]: 0,
      [other.exporter.name]: 1,
    });
    // What fails now is in no collection.
    await removed.send('too late');
    expect(await meter.points(EXPORTED, removed.exporter.name)).toMatchObject([{ value: 2 }]);
  });

  it('the exporter uses the global meter provider even if it is set after the first export', async () => {
    const receiver = await listen();
    const meter = new TestMeter();
    const { exporter, send } = start({ endpoint: receiver.endpoint, selfObsMeterProvider: true });
    await send('a');
    metrics.setGlobalMeterProvider(meter.provider);
    await send('b');
    expect(await meter.valuesBy(EXPORTED, ATTR_OTEL_COMPONENT_NAME)).toEqual({ [exporter.name]: 2 });
    expect((await meter.points(OPERATION))[0]?.value).toMatchObject({ count: 1 });
  });

  it('the exporter creates no metrics without the option selfObsMeterProvider', async () => {
    const receiver = await listen();
    const meter = new TestMeter();
    metrics.setGlobalMeterProvider(meter.provider);
    const { send } = start({ endpoint: receiver.endpoint });
    await send('a');
    expect(await meter.collect()).toEqual([]);
  });
});

describe('a meter that throws', () => {
  const fault = (): never => {
    throw new Error('fault of the meter');
  };
  const LOST = expect.stringMatching(/: the meter threw: fault of the meter; this measurement is lost$/);

  /** A meter whose instruments have their names, with some methods of its own. */
  function meterWith(methods: Partial<Meter>): Meter {
    const create = (name: string) => ({ name }) as never;
    return Object.assign(Object.create(createNoopMeter()), {
      createObservableCounter: create,
      createObservableUpDownCounter: create,
      ...methods,
    });
  }

  it.each(['otel.sdk.exporter.operation.duration', 'fluent_forward.ack.duration', 'fluent_forward.dial.duration'])(
    'an acknowledged export succeeds once and is reported as usual if a view of %s throws',
    async (instrumentName) => {
      const receiver = await listen();
      const meter = new TestMeter([{ instrumentName, attributesProcessors: [{ process: fault }] }]);
      const { exporter } = start({
        endpoint: receiver.endpoint,
        selfObsMeterProvider: meter.provider,
        rotationIntervalMillis: 0,
      });
      const results: Result[] = [];
      for (const count of [1, 2]) {
        exporter.export([logRecord(count)], (result) => results.push(result as Result));
        await until(() => results.length === count);
      }
      // A second call of the callback would come within the turn after the first.
      await settle();
      expect(results).toEqual([{ code: 0 }, { code: 0 }]);
      expect(receiver.entryCount).toBe(2);
      expect(receiver.connectionCount).toBe(1);
      expect(exporter.stats().lastError).toBeUndefined();
      expect(await meter.valuesBy(EXPORTED, ATTR_ERROR_TYPE)).toEqual({ '': 2 });
      // Once a minute.
      expect(warnings()).toEqual([LOST]);
    },
  );

  it.each<[string, MeterProvider]>([
    ['the provider returns no meter', { getMeter: () => fault() }],
    ['the meter creates no histogram', { getMeter: () => meterWith({ createHistogram: fault }) }],
    ['the meter creates no counter', { getMeter: () => meterWith({ createObservableCounter: fault }) }],
    ['the meter takes no callback', { getMeter: () => meterWith({ addBatchObservableCallback: fault }) }],
  ])('exports succeed without metrics, and the provider is asked once, if %s', async (_, { getMeter }) => {
    const receiver = await listen();
    let calls = 0;
    const provider: MeterProvider = {
      getMeter: (...asked) => {
        calls++;
        return getMeter(...asked);
      },
    };
    const { clock, send } = start({ endpoint: receiver.endpoint, selfObsMeterProvider: provider });
    expect((await send('a')).code).toBe(0);
    await clock.advance(60_000);
    expect((await send('b')).code).toBe(0);
    expect(calls).toBe(1);
    expect(warnings()).toEqual([
      expect.stringMatching(/: the meter provider threw: fault of the meter; no metrics are recorded$/),
    ]);
  });

  it('an export succeeds without metrics if the global provider throws that is set after the first export', async () => {
    const receiver = await listen();
    const { send } = start({ endpoint: receiver.endpoint, selfObsMeterProvider: true });
    expect((await send('a')).code).toBe(0);
    metrics.setGlobalMeterProvider({ getMeter: fault });
    expect((await send('b')).code).toBe(0);
    expect((await send('c')).code).toBe(0);
    expect(warnings()).toEqual([
      expect.stringMatching(/: the meter provider threw: fault of the meter; no metrics are recorded$/),
    ]);
  });

  it('a meter provider that exports through the same exporter is asked once', async () => {
    const receiver = await listen();
    const results: number[] = [];
    const provider: MeterProvider = {
      getMeter: () => {
        exporter.export([logRecord('from the provider')], ({ code }) => results.push(code));
        return meterWith({ createHistogram: () => ({ record: () => {} }) });
      },
    };
    const { exporter, send } = start({ endpoint: receiver.endpoint, selfObsMeterProvider: true });
    metrics.setGlobalMeterProvider(provider);
    expect((await send('a')).code).toBe(0);
    await until(() => results.length > 0);
    expect(results).toEqual([0]);
    expect(receiver.entryCount).toBe(2);
  });

  it('a collection loses only the numbers that the meter does not take', async () => {
    let collect: BatchObservableCallback = () => {};
    const meter = meterWith({
      addBatchObservableCallback: (callback) => {
        collect = callback;
      },
    });
    start({ selfObsMeterProvider: { getMeter: () => meter } });
    const observed: unknown[] = [];
    const observe = (instrument: object) => {
      const { name } = instrument as { name: string };
      if (name === INFLIGHT) fault();
      observed.push(name);
    };
    collect({ observe });
    expect(observed).toEqual([
      EXPORTED,
      'fluent_forward.record.filtered',
      'fluent_forward.sent.raw',
      'fluent_forward.sent.wire',
      'fluent_forward.inflight.size',
      'fluent_forward.inflight.limit',
      'fluent_forward.connection.rotated',
    ]);
    expect(warnings()).toEqual([LOST]);
  });

  it('a meter that does not remove the callback of an exporter after its shutdown is reported', async () => {
    let collect: BatchObservableCallback = () => {};
    const meter = meterWith({
      addBatchObservableCallback: (callback) => {
        collect = callback;
      },
      removeBatchObservableCallback: fault,
    });
    const { exporter } = start({ selfObsMeterProvider: { getMeter: () => meter } });
    await exporter.shutdown();
    collect({ observe: () => {} });
    await settle();
    expect(warnings()).toEqual([LOST]);
  });
});
