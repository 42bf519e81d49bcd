import type { Histogram, Meter, MetricOptions, Observable } from '@opentelemetry/api';

const RECORDS = '{log_record}';

/** In seconds, from a receiver next door to the default `timeoutMillis`. */
const DURATIONS: MetricOptions = {
  unit: 's',
  advice: {
    explicitBucketBoundaries: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25],
  },
};

/** Only for an exporter: a processor has no operation with a result. */
export function createOperationDuration(meter: Meter): Histogram {
  return meter.createHistogram('otel.sdk.exporter.operation.duration', {
    ...DURATIONS,
    description: 'The duration of exporting a batch of telemetry records.',
  });
}

export type DurationInstruments = Readonly<Record<'ack' | 'dial', Histogram>>;

export function createDurationInstruments(meter: Meter): DurationInstruments {
  return {
    ack: meter.createHistogram('fluent_forward.ack.duration', {
      ...DURATIONS,
      description: 'From handing a chunk to a connection to its ack there.',
    }),
    dial: meter.createHistogram('fluent_forward.dial.duration', {
      ...DURATIONS,
      description: 'From the begin of a dial to a connection that can take chunks, or to its failure.',
    }),
  };
}

/** Of the records, for exporters and processors. */
export type RecordInstruments = Readonly<Record<'inFlight' | 'exported' | 'dropped' | 'filtered', Observable>>;

export function createRecordInstruments(meter: Meter): RecordInstruments {
  return {
    inFlight: meter.createObservableUpDownCounter('otel.sdk.exporter.log.inflight', {
      unit: RECORDS,
      description:
        'The number of log records which were passed to the exporter, but that have not been exported yet (neither successful, nor failed).',
    }),
    exported: meter.createObservableCounter('otel.sdk.exporter.log.exported', {
      unit: RECORDS,
      description: 'The number of log records for which the export has finished, either successful or failed.',
    }),
    dropped: meter.createObservableCounter('fluent_forward.record.dropped', {
      unit: RECORDS,
      description: 'Records that are lost, unless a receiver has them and its ack did not arrive.',
    }),
    filtered: meter.createObservableCounter('fluent_forward.record.filtered', {
      unit: RECORDS,
      description: 'Records that the layout function left out.',
    }),
  };
}

/** Of the records, for processors only. */
export type ProcessorInstruments = Readonly<
  Record<'emitted' | 'processed' | 'queueSize' | 'queueCapacity', Observable>
>;

export function createProcessorInstruments(meter: Meter): ProcessorInstruments {
  return {
    emitted: meter.createObservableCounter('fluent_forward.record.emitted', {
      unit: RECORDS,
      description: 'Records that the processor has got.',
    }),
    processed: meter.createObservableCounter('otel.sdk.processor.log.processed', {
      unit: RECORDS,
      description: 'The number of log records for which the processing has finished, either successful or failed.',
    }),
    queueSize: meter.createObservableUpDownCounter('otel.sdk.processor.log.queue.size', {
      unit: RECORDS,
      description: 'The number of log records in the queue of a given instance of an SDK log processor.',
    }),
    queueCapacity: meter.createObservableUpDownCounter('otel.sdk.processor.log.queue.capacity', {
      unit: RECORDS,
      description:
        'The maximum number of log records the queue of a given instance of an SDK Log Record processor can hold.',
    }),
  };
}

/** Of chunks and memory. */
export type ChunkInstruments = Readonly<
  Record<'sentRaw' | 'sentWire' | 'inFlightSize' | 'inFlightLimit' | 'resent', Observable>
>;

export function createChunkInstruments(meter: Meter): ChunkInstruments {
  return {
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
      description: 'Memory of the records that are not settled.',
    }),
    inFlightLimit: meter.createObservableUpDownCounter('fluent_forward.inflight.limit', {
      unit: 'By',
      description: 'The bound of that memory: maxInFlightBytes.',
    }),
    resent: meter.createObservableCounter('fluent_forward.chunk.resent', {
      unit: '{chunk}',
      description: 'Chunks that were handed to a connection once more, by the reason why they had no ack before.',
    }),
  };
}

export type ConnectionInstruments = Readonly<Record<'count' | 'faults' | 'rotated', Observable>>;

export function createConnectionInstruments(meter: Meter): ConnectionInstruments {
  return {
    count: meter.createObservableUpDownCounter('fluent_forward.connection.count', {
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
  };
}
