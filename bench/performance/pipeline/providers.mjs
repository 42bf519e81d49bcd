import { BatchLogRecordProcessor, LoggerProvider } from '@opentelemetry/sdk-logs';
import { FluentForwardLogRecordProcessor } from 'opentelemetry-exporter-fluent-forward';
import { createExporter } from '../clients.mjs';
import { Workload } from '../workload.mjs';

/** Below the 2,048 above which `BatchLogRecordProcessor` drops records, by more than is emitted at once. */
const QUEUE = 1_920;
/** Half of the default of `maxInFlightBytes`: nothing is shed below. */
const HELD_BYTES = 16 * 1024 * 1024;

/** What is compared: which receiver each speaks with, and how it is made. */
export const PIPELINES = {
  processor: { client: 'exporter', create: ourProcessor },
  'bare SDK': { client: 'no-op', create: bareSdk },
  'batch, no-op': batch('no-op'),
  'batch, exporter': batch('exporter'),
  'batch, otlp-proto': batch('otlp-proto'),
  'batch, otlp-http': batch('otlp-http'),
};

/**
 * A provider with its logger. `hasRoom(emitted)` says whether more records can be emitted without a loss;
 * `acknowledged()` returns how many have arrived, and undefined where nothing is sent.
 */
export function createPipeline(name, port) {
  const { processor, ...rest } = PIPELINES[name].create(port);
  const provider = new LoggerProvider({ resource: new Workload().resource(), processors: [processor] });
  return { provider, logger: provider.getLogger('checkout', '2.4.0'), ...rest };
}

function ourProcessor(port) {
  const processor = new FluentForwardLogRecordProcessor({ endpoint: `tcp://127.0.0.1:${port}` });
  return {
    processor,
    hasRoom: () => processor.stats().held.bytes < HELD_BYTES,
    acknowledged: () => processor.stats().acknowledged.records,
  };
}

function bareSdk() {
  const processor = { onEmit() {}, forceFlush: async () => {}, shutdown: async () => {} };
  return { processor, hasRoom: () => true, acknowledged: () => undefined };
}

function batch(client) {
  return {
    client,
    create(port) {
      const exporter = new CountingExporter(createExporter(client, { port }));
      return {
        processor: new BatchLogRecordProcessor({ exporter }),
        hasRoom: (emitted) => emitted - exporter.acknowledged < QUEUE,
        acknowledged: () => exporter.acknowledged,
      };
    },
  };
}

class CountingExporter {
  acknowledged = 0;
  #exporter;

  constructor(exporter) {
    this.#exporter = exporter;
  }

  export(records, done) {
    this.#exporter.export(records, (result) => {
      if (result.code === 0) this.acknowledged += records.length;
      done(result);
    });
  }

  forceFlush() {
    return this.#exporter.forceFlush();
  }

  shutdown() {
    return this.#exporter.shutdown();
  }
}
