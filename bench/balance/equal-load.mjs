// A fleet that logs evenly: how much more than the mean does the busiest receiver get?
import { SimpleLogRecordProcessor } from '@opentelemetry/sdk-logs';
import { max, mean, median, min, sum } from 'd3-array';
import { row } from '../support/table.mjs';
import { exporterWith } from './connections.mjs';
import { Fleet, seededExporter } from './fleet.mjs';
import { RedialingClient } from './redialing-client.mjs';
import { mixed } from './runs.mjs';

export const TITLE = 'Equal load: the busiest of 8 receivers, divided by the mean';

/** Each run has little to do at a time. */
export const POOL = { concurrentTasksPerWorker: 4 };

const SERVICES = 40;
const RECEIVERS = 8;
const INTERVAL_MILLIS = 2_000;
const BINS_PER_INTERVAL = 4;
/** Enough that the count of whole records does not blur the result: for each connection, and at least. */
const RECORDS_PER_CONNECTION = 2;
const MIN_RECORDS = 8;
/** A window whose load is so far off what was to be emitted shows the machine's troubles, and does not count. */
const DISTURBED = 0.25;
/** In intervals. */
const WINDOWS = [0.25, 1, 2, 4, 8, 20];

const VARIANTS = [
  { name: 'no rotation', redials: false },
  { name: 'close, then redial', redials: true },
  ...[1, 2, 4, 8].map((connections) => ({ name: exporterWith(connections), connections })),
];
/** Of the median. */
const INTERVAL_GOALS = new Map([
  [1, 1.5],
  [4, 1.3],
  [8, 1.05],
]);
const OVERALL_GOAL = 1.1;

export function runs({ quick }) {
  const [seeds, intervals] = quick ? [2, 5] : [20, 20];
  return mixed(VARIANTS, seeds).map(({ item, seed }) => ({ variant: item, seed, intervals }));
}

export async function run({ variant, seed, intervals }) {
  const { connections = 1, redials } = variant;
  const fleet = new Fleet({
    services: SERVICES,
    seed,
    binMillis: INTERVAL_MILLIS / BINS_PER_INTERVAL,
    exporterFor: (surroundings) =>
      redials === undefined
        ? seededExporter({ ...surroundings, connections, rotationIntervalMillis: INTERVAL_MILLIS })
        : new RedialingClient({
            ...surroundings,
            intervalMillis: redials ? INTERVAL_MILLIS : Number.POSITIVE_INFINITY,
          }),
    processorFor: (each) => new SimpleLogRecordProcessor({ exporter: each }),
  });
  await fleet.tier.grow(RECEIVERS);
  const recordsPerInterval = Math.max(MIN_RECORDS, RECORDS_PER_CONNECTION * connections);
  const emit = (count) =>
    fleet.emit({
      recordsPerSecond: (recordsPerInterval * 1_000) / INTERVAL_MILLIS,
      millis: count * INTERVAL_MILLIS,
    });
  fleet.tier.startClock();
  // The first interval is for warming up: in it each connection rotates for the first time.
  await emit(1 + intervals);
  await fleet.shutdown();
  return {
    variant: variant.name,
    intervals,
    loads: fleet.tier.loads.slice(BINS_PER_INTERVAL, (1 + intervals) * BINS_PER_INTERVAL),
    loadPerBin: (SERVICES * recordsPerInterval) / BINS_PER_INTERVAL,
    totals: fleet.ledger.totals,
  };
}

export function summarise(outcomes) {
  return VARIANTS.map(({ name, connections }) => {
    const own = outcomes.filter(({ variant }) => variant === name);
    const [{ intervals }] = own;
    const windows = WINDOWS.filter((window) => window <= intervals);
    return {
      variant: name,
      perInterval: { ...imbalance(own, 1), goal: INTERVAL_GOALS.get(connections) },
      overall: { ...imbalance(own, intervals), goal: connections && OVERALL_GOAL },
      byWindow: windows.map((window) => ({ window, ...imbalance(own, window) })),
    };
  });
}

/** The busiest receiver's load divided by the mean, in all windows of so many intervals. */
function imbalance(outcomes, intervals) {
  const windows = outcomes.flatMap((outcome) => windowsOf(outcome, intervals * BINS_PER_INTERVAL));
  const ratios = windows.filter(({ isDisturbed }) => !isDisturbed).map(({ loads }) => max(loads) / mean(loads));
  return {
    mean: mean(ratios),
    median: median(ratios),
    best: min(ratios),
    worst: max(ratios),
    windows: ratios.length,
    disturbed: windows.length - ratios.length,
  };
}

/** Each receiver's load in one window after the other. */
function windowsOf({ loads, loadPerBin }, bins) {
  const expected = bins * loadPerBin;
  return Array.from({ length: Math.floor(loads.length / bins) }, (_, window) => {
    const own = loads.slice(window * bins, (window + 1) * bins);
    const byReceiver = Array.from({ length: RECEIVERS }, (_, receiver) => sum(own, (load) => load[receiver]));
    return { loads: byReceiver, isDisturbed: Math.abs(sum(byReceiver) - expected) > DISTURBED * expected };
  });
}

export function tables(summary) {
  const rows = (columnsOf) => Object.fromEntries(summary.map((each) => [each.variant, row(columnsOf(each), 2)]));
  return [
    rows(({ perInterval, overall }) => ({
      'per interval: median': perInterval.median,
      mean: perInterval.mean,
      worst: perInterval.worst,
      'over all: median': overall.median,
      'worst ': overall.worst,
      windows: perInterval.windows,
      'left out': perInterval.disturbed,
      'goal per interval': perInterval.goal,
      'goal over all': overall.goal,
    })),
    rows(({ byWindow }) => Object.fromEntries(byWindow.map(({ window, mean }) => [`mean, ${window} intervals`, mean]))),
  ];
}

export function chart(summary) {
  const color = {
    field: 'variant',
    type: 'nominal',
    sort: null,
    scale: { range: ['#999999', '#e69f00', '#9ecae1', '#6baed6', '#2171b5', '#08306b'] },
    legend: { title: null },
  };
  const perIntervalTitle = 'busiest ÷ mean in one rotation interval: best to worst, and median';
  const variant = { field: 'variant', type: 'nominal', sort: null, axis: { title: null } };
  const ratio = (field, title) => ({
    field,
    type: 'quantitative',
    scale: { domainMin: 1, zero: false },
    axis: { title },
  });
  const perInterval = summary.map((each) => ({ variant: each.variant, ...each.perInterval }));
  const byWindow = summary.flatMap((each) => each.byWindow.map((own) => ({ variant: each.variant, ...own })));
  return {
    title: { text: TITLE, subtitle: `${SERVICES} exporters at the same pace; 1: even; goals for the median in red` },
    hconcat: [
      {
        width: 330,
        height: 220,
        data: { values: perInterval },
        layer: [
          {
            mark: { type: 'rule', strokeWidth: 3, opacity: 0.5 },
            encoding: { y: variant, x: ratio('best', perIntervalTitle), x2: { field: 'worst' }, color },
          },
          {
            mark: { type: 'point', filled: true, size: 90, opacity: 1 },
            encoding: { y: variant, x: ratio('median', perIntervalTitle), color },
          },
          {
            transform: [{ filter: 'isValid(datum.goal)' }],
            mark: { type: 'tick', color: 'red', thickness: 2, size: 18 },
            encoding: { y: variant, x: ratio('goal', perIntervalTitle) },
          },
        ],
      },
      {
        width: 330,
        height: 220,
        data: { values: byWindow },
        mark: { type: 'line', point: true },
        encoding: {
          x: {
            field: 'window',
            type: 'quantitative',
            scale: { type: 'log', base: 2 },
            axis: { title: 'length of the window in rotation intervals', values: WINDOWS },
          },
          y: ratio('mean', 'busiest ÷ mean: mean of all windows'),
          color,
        },
      },
    ],
  };
}
