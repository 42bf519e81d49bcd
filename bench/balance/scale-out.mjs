// Receivers are added to the name in mid-run: how long until they carry their share?
import { SimpleLogRecordProcessor } from '@opentelemetry/sdk-logs';
import { max, median, min, sum } from 'd3-array';
import { row } from '../support/table.mjs';
import { connectionsHeader, exporterWith } from './connections.mjs';
import { Fleet, seededExporter } from './fleet.mjs';
import { mixed } from './runs.mjs';

export const TITLE = 'Scale-out: 4 receivers behind one name become 8, and the new ones carry 90 % of their fair share';

/** Each run has little to do at a time. */
export const POOL = { concurrentTasksPerWorker: 2 };

const SERVICES = 40;
const INTERVAL_MILLIS = 2_000;
const BINS_PER_INTERVAL = 10;
/** So many that the order in which connections take turns does not show. */
const RECORDS_PER_SECOND = 24;
const OLD_RECEIVERS = 4;
const NEW_RECEIVERS = 4;
const FAIR_SHARE = NEW_RECEIVERS / (OLD_RECEIVERS + NEW_RECEIVERS);
/** What counts as arrived: so much of the fair share, over three tenths of an interval. */
const ENOUGH = 0.9 * FAIR_SHARE;
const WINDOW_BINS = 3;
/** At another place of the exporters' ways around the old receivers from seed to seed. */
const intervalsBefore = (seed) => 2 + (seed % OLD_RECEIVERS);
const INTERVALS_AFTER = 4;
/** In intervals, of the median. */
const GOALS = new Map([
  [1, 2.5],
  [8, 1.5],
]);

export function runs({ quick }) {
  return mixed([...GOALS.keys()], quick ? 2 : 12).map(({ item, seed }) => ({ connections: item, seed }));
}

export async function run({ connections, seed }) {
  const fleet = new Fleet({
    services: SERVICES,
    seed,
    binMillis: INTERVAL_MILLIS / BINS_PER_INTERVAL,
    exporterFor: (surroundings) =>
      seededExporter({ ...surroundings, connections, rotationIntervalMillis: INTERVAL_MILLIS }),
    processorFor: (exporter) => new SimpleLogRecordProcessor({ exporter }),
  });
  const emit = (intervals) => fleet.emit({ recordsPerSecond: RECORDS_PER_SECOND, millis: intervals * INTERVAL_MILLIS });
  const before = intervalsBefore(seed);
  await fleet.tier.grow(OLD_RECEIVERS);
  fleet.tier.startClock();
  await emit(before);
  await fleet.tier.grow(NEW_RECEIVERS);
  await emit(INTERVALS_AFTER);
  await fleet.shutdown();
  const from = (before - 1) * BINS_PER_INTERVAL;
  const loads = fleet.tier.loads.slice(from, from + (1 + INTERVALS_AFTER) * BINS_PER_INTERVAL);
  return { connections, loads, totals: fleet.ledger.totals };
}

export function summarise(outcomes) {
  return [...GOALS].map(([connections, goal]) => {
    const own = outcomes.filter((outcome) => outcome.connections === connections);
    const times = own.map(({ loads }) => intervalsUntilEnough(loads));
    return {
      connections,
      intervals: { median: median(times), worst: max(times), goal },
      course: own[0].loads.map((_, bin) => {
        const shares = own.map(({ loads }) => shareOfNew([loads[bin]]));
        return { at: timeOf(bin), median: median(shares), least: min(shares), most: max(shares) };
      }),
    };
  });
}

/** From the scale-out to the end of the first window in which the new receivers had enough. */
function intervalsUntilEnough(loads) {
  for (let end = WINDOW_BINS; end <= loads.length; end++) {
    if (shareOfNew(loads.slice(end - WINDOW_BINS, end)) >= ENOUGH) return timeOf(end);
  }
  return Number.POSITIVE_INFINITY;
}

/** When a bin starts, in intervals from the scale-out, one interval before which the first one does. */
function timeOf(bin) {
  return bin / BINS_PER_INTERVAL - 1;
}

function shareOfNew(loads) {
  return sum(loads, (load) => sum(load.slice(OLD_RECEIVERS))) / sum(loads, (load) => sum(load));
}

export function tables(summary) {
  const rows = summary.map(({ connections, intervals: { median, worst, goal } }) => [
    exporterWith(connections),
    row({ 'intervals until enough: median': median, worst, goal }, 1),
  ]);
  return [Object.fromEntries(rows)];
}

export function chart(summary) {
  const course = summary.flatMap((each) => each.course.map((own) => ({ connections: each.connections, ...own })));
  const at = {
    field: 'at',
    type: 'quantitative',
    axis: { title: 'rotation intervals after the scale-out', tickMinStep: 1 },
  };
  const share = (field) => ({
    field,
    type: 'quantitative',
    scale: { domain: [0, 1] },
    axis: { title: 'share', format: '%' },
  });
  return {
    title: {
      text: 'Scale-out: 4 receivers behind one name become 8',
      subtitle:
        "The four new receivers' share of all records, in tenths of an interval: median, least and most of all seeds",
    },
    data: { values: course },
    facet: { column: { field: 'connections', type: 'ordinal', header: connectionsHeader } },
    spec: {
      width: 330,
      height: 180,
      layer: [
        { mark: { type: 'area', opacity: 0.25 }, encoding: { x: at, y: share('least'), y2: { field: 'most' } } },
        { mark: 'line', encoding: { x: at, y: share('median') } },
        { mark: { type: 'rule', strokeDash: [4, 4] }, encoding: { y: { datum: FAIR_SHARE } } },
      ],
    },
  };
}
