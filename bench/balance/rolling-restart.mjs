// All receivers are restarted one after the other: is anything lost, and how late is the rest?
import { setTimeout as sleep } from 'node:timers/promises';
import { BatchLogRecordProcessor } from '@opentelemetry/sdk-logs';
import { group, max, quantile } from 'd3-array';
import { row } from '../support/table.mjs';
import { connectionsHeader, exporterWith } from './connections.mjs';
import { Fleet, seededExporter } from './fleet.mjs';

export const TITLE = 'Rolling restart: all 8 receivers, one after the other';
/** Delays are measured: one run at a time. */
export const POOL = { maxThreads: 1 };

const SERVICES = 40;
const RECEIVERS = 8;
const INTERVAL_MILLIS = 2_000;
const RECORDS_PER_SECOND = 40;
/** Records wait for so long, at most, before they are exported. */
const BATCH_DELAY_MILLIS = 100;
const DOWN_MILLIS = 500;
const UP_MILLIS = 500;
/** Before the first restart, and after the last. */
const CALM_MILLIS = 4_000;
const RESTARTS_MILLIS = RECEIVERS * (DOWN_MILLIS + UP_MILLIS);
const CHART_BIN_MILLIS = 250;

export function runs({ quick }) {
  return (quick ? [8] : [1, 8]).map((connections) => ({ connections, seed: 1 }));
}

export async function run({ connections, seed }) {
  const fleet = new Fleet({
    services: SERVICES,
    seed,
    binMillis: INTERVAL_MILLIS,
    exporterFor: (surroundings) =>
      seededExporter({ ...surroundings, connections, rotationIntervalMillis: INTERVAL_MILLIS }),
    processorFor: (exporter) => new BatchLogRecordProcessor({ exporter, scheduledDelayMillis: BATCH_DELAY_MILLIS }),
  });
  await fleet.tier.grow(RECEIVERS);
  const millis = CALM_MILLIS + RESTARTS_MILLIS + CALM_MILLIS;
  const start = performance.now();
  await Promise.all([fleet.emit({ recordsPerSecond: RECORDS_PER_SECOND, millis }), restartAll(fleet.tier)]);
  await fleet.shutdown();
  const delays = fleet.ledger.delays.map((delay) => ({ ...delay, emittedAt: delay.emittedAt - start }));
  return { connections, delays, totals: fleet.ledger.totals };
}

async function restartAll(tier) {
  await sleep(CALM_MILLIS);
  for (let index = 0; index < RECEIVERS; index++) {
    await tier.restart(index, DOWN_MILLIS);
    await sleep(UP_MILLIS);
  }
}

export function summarise(outcomes) {
  return outcomes.map(({ connections, delays, totals }) => ({
    connections,
    ...totals,
    calm: percentiles(delays.filter(({ emittedAt }) => emittedAt > CALM_MILLIS / 2 && emittedAt < CALM_MILLIS)),
    restarts: percentiles(
      delays.filter(({ emittedAt }) => emittedAt >= CALM_MILLIS && emittedAt < CALM_MILLIS + RESTARTS_MILLIS),
    ),
    course: Array.from(
      group(delays, ({ emittedAt }) => Math.floor(emittedAt / CHART_BIN_MILLIS)),
      ([bin, own]) => ({ at: (bin * CHART_BIN_MILLIS - CALM_MILLIS) / 1_000, ...percentiles(own).emitToAck }),
    ),
  }));
}

function percentiles(delays) {
  const of = (values) => ({ p50: quantile(values, 0.5), p99: quantile(values, 0.99), max: max(values) });
  return {
    emitToAck: of(delays.map(({ fromEmit }) => fromEmit)),
    exportToAck: of(delays.map(({ fromExport }) => fromExport)),
  };
}

export function tables(summary) {
  const rows = summary.flatMap(({ connections, calm, restarts }) => [
    [`${exporterWith(connections)}: calm`, columns(calm)],
    [`${exporterWith(connections)}: restarts`, columns(restarts)],
  ]);
  return [Object.fromEntries(rows)];
}

function columns({ emitToAck, exportToAck }) {
  return row(
    {
      'ms from emit to ack: p50': emitToAck.p50,
      p99: emitToAck.p99,
      max: emitToAck.max,
      'from export to ack: p50': exportToAck.p50,
      'p99 ': exportToAck.p99,
      'max ': exportToAck.max,
    },
    1,
  );
}

export function chart(summary) {
  const course = summary.flatMap(({ connections, course: own }) =>
    own.flatMap(({ at, ...delays }) =>
      Object.entries(delays).map(([measure, millis]) => ({ connections, at, measure, millis })),
    ),
  );
  const downtimes = Array.from({ length: RECEIVERS }, (_, index) => {
    const from = (index * (DOWN_MILLIS + UP_MILLIS)) / 1_000;
    return { from, to: from + DOWN_MILLIS / 1_000 };
  });
  const at = { field: 'at', type: 'quantitative', axis: { title: 'seconds from the first restart' } };
  return {
    title: {
      text: TITLE,
      subtitle: `From emit to ack, of which up to ${BATCH_DELAY_MILLIS} ms in BatchLogRecordProcessor; grey: a receiver is down`,
    },
    data: { values: course },
    facet: { column: { field: 'connections', type: 'ordinal', header: connectionsHeader } },
    spec: {
      width: 330,
      height: 180,
      layer: [
        {
          data: { values: downtimes },
          mark: { type: 'rect', color: '#dddddd' },
          encoding: { x: { ...at, field: 'from' }, x2: { field: 'to' } },
        },
        {
          mark: 'line',
          encoding: {
            x: at,
            y: { field: 'millis', type: 'quantitative', axis: { title: 'ms' } },
            color: { field: 'measure', type: 'nominal', sort: null, legend: { title: null } },
          },
        },
      ],
    },
  };
}
