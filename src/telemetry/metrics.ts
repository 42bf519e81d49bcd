import {
  type Attributes,
  type BatchObservableCallback,
  createNoopMeter,
  type Histogram,
  type Meter,
  type MeterProvider,
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
import { ExporterRecords } from './exporter-records.ts';
import {
  type ChunkInstruments,
  type ConnectionInstruments,
  createChunkInstruments,
  createConnectionInstruments,
  createDurationInstruments,
  createOperationDuration,
  type DurationInstruments,
} from './instruments.ts';
import { PeerAttributes } from './peer-attributes.ts';
import { ProcessorRecords } from './processor-records.ts';
import type { MemoryUse } from './queue-capacity.ts';
import { type Reading, type RecordMetrics, readingsBy } from './record-metrics.ts';

export interface MetricsOptions {
  readonly meter: Meter;
  readonly componentType: ComponentType;
  /** For `otel.component.name`. */
  readonly name: string;
  readonly endpoints: readonly Endpoint[];
  readonly clock: Clock;
  readonly counters: Counters;
  readonly memory: MemoryUse;
  readonly connections: () => readonly ConnectionStats[];
  readonly warn: (cause: string, message: string) => void;
}

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
 * The metrics of one exporter or processor: those of the semantic conventions, and its own. Counts and states are
 * read from the counters when they are collected; only durations are recorded on the way.
 */
export class Metrics {
  readonly #options: MetricsOptions;
  readonly #component: Attributes;
  readonly #records: RecordMetrics;
  readonly #durations: Durations;
  readonly #chunks: ChunkInstruments;
  readonly #connections: ConnectionInstruments;
  readonly #peers = new PeerAttributes();
  readonly #callback: BatchObservableCallback;
  #isClosed = false;

  /** Throws what the meter throws. */
  constructor(options: MetricsOptions) {
    const { componentType, endpoints, meter, name } = options;
    this.#options = options;
    this.#component = {
      'otel.component.type': componentType,
      'otel.component.name': name,
      ...serverAttributes(endpoints),
    };
    this.#durations = createDurations(options);
    this.#records = createRecordMetrics(options);
    this.#chunks = createChunkInstruments(meter);
    this.#connections = createConnectionInstruments(meter);
    this.#callback = (result) => this.#collect((...reading) => result.observe(...reading));
    meter.addBatchObservableCallback(this.#callback, this.#observables);
  }

  /** The callback of an export that begins now, which then records also how long it took. */
  timed(callback: (result: ExportResult) => void): (result: ExportResult) => void {
    const { clock } = this.#options;
    const startedAt = clock.now();
    return (result) => {
      const code = result.error instanceof FluentForwardExportError ? result.error.code : undefined;
      this.#record(this.#durations.operation, clock.now() - startedAt, code);
      callback(result);
    };
  }

  /** A dial has ended, in an open connection or with an error. */
  dialled(millis: number, error?: ConnectionErrorCode): void {
    this.#record(this.#durations.dial, millis, error);
  }

  acknowledged(latencyMillis: number): void {
    this.#record(this.#durations.ack, latencyMillis, undefined);
  }

  /** The next collection is the last one: what came since the one before would else be lost. */
  close(): void {
    this.#isClosed = true;
  }

  get #observables(): Observable[] {
    return [...this.#records.instruments, ...Object.values(this.#chunks), ...Object.values(this.#connections)];
  }

  #record(
    histogram: Histogram | undefined,
    millis: number,
    error: ExportErrorCode | ConnectionErrorCode | undefined,
  ): void {
    const attributes = error === undefined ? this.#component : this.#with({ 'error.type': error });
    this.#guard(() => histogram?.record(millis / 1000, attributes));
  }

  /** The meter belongs to the application. What it throws must neither end in the event of a socket nor end an export. */
  #guard(measure: () => void): void {
    try {
      measure();
    } catch (error) {
      this.#options.warn('meter', `the meter threw: ${messageOf(error)}; this measurement is lost`);
    }
  }

  #with(attributes: Attributes | undefined): Attributes {
    return attributes === undefined ? this.#component : { ...this.#component, ...attributes };
  }

  #collect(observe: (...reading: Reading) => void): void {
    for (const [instrument, value, attributes] of this.#read()) {
      this.#guard(() => observe(instrument, value, this.#with(attributes)));
    }
    if (!this.#isClosed) return;
    const { meter } = this.#options;
    // Not while the SDK goes through its callbacks.
    nextTick(() => this.#guard(() => meter.removeBatchObservableCallback(this.#callback, this.#observables)));
  }

  #read(): Reading[] {
    return [...this.#records.read(), ...this.#readChunks(), ...this.#readConnections()];
  }

  #readChunks(): Reading[] {
    const { counters, memory } = this.#options;
    const { sentRaw, sentWire, inFlightSize, inFlightLimit, resent } = this.#chunks;
    const { sent, resent: again } = counters;
    return [
      [sentRaw, sent.rawBytes + again.rawBytes],
      [sentWire, sent.bytes + again.bytes],
      [inFlightSize, memory.usedBytes],
      [inFlightLimit, memory.limitBytes],
      ...readingsBy(resent, 'error.type', counters.resentChunks),
    ];
  }

  #readConnections(): Reading[] {
    const { counters, connections } = this.#options;
    const { count, faults, rotated } = this.#connections;
    return [
      ...this.#peers.count(connections()).map(([attributes, open]) => [count, open, attributes] as const),
      ...readingsBy(faults, 'error.type', counters.connectionFaults),
      [rotated, counters.rotations],
    ];
  }
}

interface Durations extends DurationInstruments {
  /** Undefined for a processor, which has no operations. */
  readonly operation: Histogram | undefined;
}

function createDurations({ componentType, meter }: MetricsOptions): Durations {
  const operation = componentType === 'fluent_forward_log_exporter' ? createOperationDuration(meter) : undefined;
  return { operation, ...createDurationInstruments(meter) };
}

function createRecordMetrics({ componentType, counters, memory, meter }: MetricsOptions): RecordMetrics {
  switch (componentType) {
    case 'fluent_forward_log_exporter':
      return new ExporterRecords(meter, counters);
    case 'fluent_forward_log_processor':
      return new ProcessorRecords(meter, counters, memory);
  }
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
