import {
  type Attributes,
  type BatchObservableCallback,
  type BatchObservableResult,
  createNoopMeter,
  type Histogram,
  type Meter,
  type MeterProvider,
  type MetricOptions,
  metrics,
  type Observable,
} from '@opentelemetry/api';
import type { ExportResult } from '@opentelemetry/core';
import { type Clock, nextTick } from '../clock.ts';
import type { Endpoint } from '../config/endpoint.ts';
import { type ConnectionErrorCode, type ExportErrorCode, FluentForwardExportError, messageOf } from '../errors.ts';
import type { ConnectionStats, Counters } from '../stats.ts';
import { VERSION } from '../version.ts';
import type { ComponentType } from './component.ts';
import { PeerAttributes } from './peer-attributes.ts';

export interface MetricsOptions {
  readonly meter: Meter;
  readonly componentType: ComponentType;
  /** For `otel.component.name`. */
  readonly name: string;
  readonly endpoints: readonly Endpoint[];
  readonly clock: Clock;
  readonly counters: Counters;
  /** What counters do not hold, as it is at the time of a collection. */
  readonly state: () => { readonly inFlightBytes: number; readonly connections: readonly ConnectionStats[] };
  readonly warn: (cause: string, message: string) => void;
}

/** In seconds, from a receiver next door to the default `timeoutMillis`. */
const DURATIONS: MetricOptions = {
  unit: 's',
  advice: {
    explicitBucketBoundaries: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25],
  },
};

/**
 * The meter to use, of the API's global provider for `true`; `undefined` while the application has set
 * none, which it may do later.
 */
export function meterOf(provider: MeterProvider | true): Meter | undefined {
  const meter = (provider === true ? metrics.getMeterProvider() : provider).getMeter(
    'opentelemetry-exporter-fluent-forward',
    VERSION,
  );
  return meter === createNoopMeter() ? undefined : meter;
}

/**
 * The metrics of one exporter: those of the semantic conventions, and its own. Counts and states are
 * read from the counters when they are collected; only durations are recorded on the way.
 */
export class Metrics {
  readonly #options: MetricsOptions;
  readonly #exporter: Attributes;
  readonly #instruments: ReturnType<typeof createInstruments>;
  readonly #peers = new PeerAttributes();
  readonly #callback: BatchObservableCallback;
  #isClosed = false;

  /** Throws what the meter throws. */
  constructor(options: MetricsOptions) {
    this.#options = options;
    this.#exporter = {
      'otel.component.type': options.componentType,
      'otel.component.name': options.name,
      ...serverAttributes(options.endpoints),
    };
    this.#instruments = createInstruments(options.meter);
    this.#callback = (result) =>
      this.#observe({ observe: (...observed) => this.#guard(() => result.observe(...observed)) });
    options.meter.addBatchObservableCallback(this.#callback, this.#observables);
  }

  /** The callback of an export that begins now, which then records also how long it took. */
  timed(callback: (result: ExportResult) => void): (result: ExportResult) => void {
    const { clock } = this.#options;
    const startedAt = clock.now();
    return (result) => {
      const code = result.error instanceof FluentForwardExportError ? result.error.code : undefined;
      this.#record(this.#instruments.operationDuration, clock.now() - startedAt, code);
      callback(result);
    };
  }

  /** A dial has ended, in an open connection or with an error. */
  dialled(millis: number, error?: ConnectionErrorCode): void {
    this.#record(this.#instruments.dialDuration, millis, error);
  }

  acknowledged(latencyMillis: number): void {
    this.#record(this.#instruments.ackDuration, latencyMillis, undefined);
  }

  /** The next collection is the last one: what came since the one before would else be lost. */
  close(): void {
    this.#isClosed = true;
  }

  get #observables(): Observable[] {
    return Object.values(this.#instruments.observed);
  }

  #record(histogram: Histogram, millis: number, error: ExportErrorCode | ConnectionErrorCode | undefined): void {
    const attributes = error === undefined ? this.#exporter : this.#with({ 'error.type': error });
    this.#guard(() => histogram.record(millis / 1000, attributes));
  }

  /** The meter belongs to the application. What it throws must neither end in the event of a socket nor end an export. */
  #guard(measure: () => void): void {
    try {
      measure();
    } catch (error) {
      this.#options.warn('meter', `the meter threw: ${messageOf(error)}; this measurement is lost`);
    }
  }

  #with(attributes: Attributes): Attributes {
    return { ...this.#exporter, ...attributes };
  }

  #observe(result: BatchObservableResult): void {
    this.#observeRecords(result);
    this.#observeChunks(result);
    this.#observeConnections(result);
    if (!this.#isClosed) return;
    const { meter } = this.#options;
    // Not while the SDK goes through its callbacks.
    nextTick(() => this.#guard(() => meter.removeBatchObservableCallback(this.#callback, this.#observables)));
  }

  #observeRecords(result: BatchObservableResult): void {
    const { counters } = this.#options;
    const { inFlight, exported, dropped, filtered } = this.#instruments.observed;
    result.observe(inFlight, counters.inFlightRecords, this.#exporter);
    result.observe(exported, counters.exportedRecords, this.#exporter);
    for (const [code, records] of failedRecords(counters)) {
      result.observe(exported, records, this.#with({ 'error.type': code }));
    }
    for (const [reason, records] of droppedRecords(counters)) {
      result.observe(dropped, records, this.#with({ 'fluent_forward.drop.reason': reason }));
    }
    result.observe(filtered, counters.filteredRecords, this.#exporter);
  }

  #observeChunks(result: BatchObservableResult): void {
    const { counters, state } = this.#options;
    const { sentRaw, sentWire, inFlightSize, resent } = this.#instruments.observed;
    const { sent, resent: again } = counters;
    result.observe(sentRaw, sent.rawBytes + again.rawBytes, this.#exporter);
    result.observe(sentWire, sent.bytes + again.bytes, this.#exporter);
    result.observe(inFlightSize, state().inFlightBytes, this.#exporter);
    for (const [code, chunks] of counters.resentChunks) {
      result.observe(resent, chunks, this.#with({ 'error.type': code }));
    }
  }

  #observeConnections(result: BatchObservableResult): void {
    const { counters, state } = this.#options;
    const { connections, faults, rotated } = this.#instruments.observed;
    for (const [attributes, count] of this.#peers.count(state().connections)) {
      result.observe(connections, count, this.#with(attributes));
    }
    for (const [code, count] of counters.connectionFaults) {
      result.observe(faults, count, this.#with({ 'error.type': code }));
    }
    result.observe(rotated, counters.rotations, this.#exporter);
  }
}

function createInstruments(meter: Meter) {
  return {
    operationDuration: meter.createHistogram('otel.sdk.exporter.operation.duration', {
      ...DURATIONS,
      description: 'The duration of exporting a batch of telemetry records.',
    }),
    ackDuration: meter.createHistogram('fluent_forward.ack.duration', {
      ...DURATIONS,
      description: 'From handing a chunk to a connection to its ack there.',
    }),
    dialDuration: meter.createHistogram('fluent_forward.dial.duration', {
      ...DURATIONS,
      description: 'From the begin of a dial to a connection that can take chunks, or to its failure.',
    }),
    observed: {
      inFlight: meter.createObservableUpDownCounter('otel.sdk.exporter.log.inflight', {
        unit: '{log_record}',
        description:
          'The number of log records which were passed to the exporter, but that have not been exported yet (neither successful, nor failed).',
      }),
      exported: meter.createObservableCounter('otel.sdk.exporter.log.exported', {
        unit: '{log_record}',
        description: 'The number of log records for which the export has finished, either successful or failed.',
      }),
      dropped: meter.createObservableCounter('fluent_forward.record.dropped', {
        unit: '{log_record}',
        description: 'Records that are lost, unless a receiver has them and its ack did not arrive.',
      }),
      filtered: meter.createObservableCounter('fluent_forward.record.filtered', {
        unit: '{log_record}',
        description: 'Records that the layout function left out.',
      }),
      sentRaw: meter.createObservableCounter('fluent_forward.sent.raw', {
        unit: 'By',
        description: 'Bytes of the chunks that were handed to connections, resends included, before compression.',
      }),
      sentWire: meter.createObservableCounter('fluent_forward.sent.wire', {
        unit: 'By',
        description: 'Bytes of the chunks that were handed to connections, resends included, as they are written.',
      }),
      inFlightSize: meter.createObservableUpDownCounter('fluent_forward.inflight.size', {
        unit: 'By',
        description: 'Memory that waits for acks, of at most maxInFlightBytes and one export.',
      }),
      resent: meter.createObservableCounter('fluent_forward.chunk.resent', {
        unit: '{chunk}',
        description: 'Chunks that were handed to a connection once more, by the reason why they had no ack before.',
      }),
      connections: meter.createObservableUpDownCounter('fluent_forward.connection.count', {
        unit: '{connection}',
        description: 'Connections that there are, by address and state.',
      }),
      faults: meter.createObservableCounter('fluent_forward.connection.fault', {
        unit: '{fault}',
        description: 'Faults of connections, those of their dials included.',
      }),
      rotated: meter.createObservableCounter('fluent_forward.connection.rotated', {
        unit: '{connection}',
        description: 'Connections replaced because of their age, or to leave a standby.',
      }),
    },
  };
}

/** Those that could not be encoded have failed too, alone in a batch that may have succeeded. */
function failedRecords(counters: Counters): ReadonlyMap<ExportErrorCode, number> {
  const records = new Map([...counters.failures].map(([code, volume]) => [code, volume.records]));
  const unencodable = counters.droppedRecords + (records.get('FLUENT_FORWARD_UNENCODABLE') ?? 0);
  if (unencodable > 0) records.set('FLUENT_FORWARD_UNENCODABLE', unencodable);
  return records;
}

/** The reasons are the codes of errors without their prefix, and `oversize`. */
function droppedRecords(counters: Counters): ReadonlyMap<string, number> {
  const records = new Map<string, number>();
  for (const [code, count] of failedRecords(counters)) {
    records.set(code.replace('FLUENT_FORWARD_', '').toLowerCase(), count);
  }
  if (counters.oversizeRecords > 0) {
    records.set('oversize', counters.oversizeRecords);
    records.set('unencodable', (records.get('unencodable') ?? 0) - counters.oversizeRecords);
  }
  return records;
}

/** Of several endpoints none can be named. */
function serverAttributes([endpoint, another]: readonly Endpoint[]): Attributes {
  if (endpoint === undefined || another !== undefined) return {};
  switch (endpoint.protocol) {
    case 'unix':
      return { 'server.address': endpoint.path };
    case 'tcp':
    case 'tls':
      return { 'server.address': endpoint.host, 'server.port': endpoint.port };
    default:
      // The ports are in the records.
      return { 'server.address': endpoint.host };
  }
}
