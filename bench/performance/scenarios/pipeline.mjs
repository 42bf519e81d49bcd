// The whole SDK: what logger.emit() costs the process with an exporter behind it, above one that does nothing.
import { BatchLogRecordProcessor, LoggerProvider } from '@opentelemetry/sdk-logs';
import { ratio, spread } from '../../support/statistics.mjs';
import { createExporter } from '../clients.mjs';
import { compare, goal } from '../figures.mjs';
import { interleave } from '../interleave.mjs';
import { measure } from '../window.mjs';
import { Workload } from '../workload.mjs';

export const TITLE = 'logger.emit() → BatchLogRecordProcessor → exporter: the process’s CPU nanoseconds a record';

const NOOP = 'no-op';
const CLIENTS = ['exporter', 'otlp-proto', 'otlp-http', NOOP];
const RECORDS = 16_384;
/** The processor's defaults. */
const QUEUE = 2_048;
const BATCH = 512;

export function createSubject({ client, port }) {
  const workload = new Workload();
  const exporter = new Counting(createExporter(client, { port }));
  const processor = new BatchLogRecordProcessor({ exporter, maxQueueSize: QUEUE, maxExportBatchSize: BATCH });
  const provider = new LoggerProvider({ resource: workload.resource(), processors: [processor] });
  const logger = provider.getLogger('checkout', '2.4.0');
  return {
    async pass() {
      const emits = workload.emits(RECORDS);
      const { millis, cpuMicros } = await measure(async () => {
        for (let at = 0; at < RECORDS; at += QUEUE) {
          for (let i = at; i < at + QUEUE; i++) logger.emit(emits[i]);
          await provider.forceFlush();
        }
      });
      exporter.expect(RECORDS);
      return { millis, cpuNanos: (cpuMicros * 1_000) / RECORDS };
    },
    close: () => provider.shutdown(),
  };
}

/** Counts what was exported with success. */
class Counting {
  #exporter;
  #records = 0;

  constructor(exporter) {
    this.#exporter = exporter;
  }

  export(records, done) {
    this.#exporter.export(records, (result) => {
      if (result.code === 0) this.#records += records.length;
      done(result);
    });
  }

  expect(records) {
    if (this.#records !== records) throw new Error(`${this.#records} of ${records} records were acknowledged`);
    this.#records = 0;
  }

  forceFlush() {
    return this.#exporter.forceFlush();
  }

  shutdown() {
    return this.#exporter.shutdown();
  }
}

export async function run({ isQuick, receivers, progress }) {
  const subjects = Object.fromEntries(CLIENTS.map((client) => [client, { client, port: receivers.portOf(client) }]));
  const rounds = { warmups: isQuick ? 1 : 3, rounds: isQuick ? 3 : 10 };
  const outcomes = await interleave({ scenario: 'pipeline', subjects, ...rounds });
  progress('all rounds');
  const above = (client) => outcomes[client].map(({ cpuNanos }, round) => cpuNanos - outcomes[NOOP][round].cpuNanos);
  return compare(outcomes, 'cpuNanos', { moreIsBetter: false }).map((figures) => {
    const { subject } = figures;
    if (subject === NOOP) return figures;
    const advantage = subject === 'exporter' ? undefined : ratio(above(subject), above('exporter'));
    return { ...figures, above: { ...spread(above(subject)), advantage } };
  });
}

export function tables(results) {
  const rows = results.map(({ subject, median, p10, p90, above }) => ({
    '': subject,
    'CPU ns': median,
    p10,
    p90,
    'above the no-op': above?.median,
    'times the exporter’s': above?.advantage?.median,
  }));
  return [{ rows }];
}

export function goals(results) {
  const { above } = results.find(({ subject }) => subject === 'otlp-proto');
  return [goal('SDK pipeline, CPU above a no-op, vs OTLP/proto', { most: 1 / 4 }, 1 / above.advantage.median)];
}
