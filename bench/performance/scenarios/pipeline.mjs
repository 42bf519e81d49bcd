// The whole SDK, from logger.emit() to the ack: this package's processor, and BatchLogRecordProcessor with exporters.
import { max, quantile } from 'd3-array';
import { ratio, spread } from '../../support/statistics.mjs';
import { compare, goal } from '../figures.mjs';
import { interleave } from '../interleave.mjs';
import { PIPELINES } from '../pipeline/providers.mjs';

export { createSubject } from '../pipeline/passes.mjs';

export const TITLE = 'From logger.emit() to the ack';

const BARE = 'bare SDK';
const ALL = Object.keys(PIPELINES);
const RATED = ['processor', 'batch, exporter', 'batch, otlp-proto'];
const ACK_DELAYS = [0, 5, 50];
const CPU = { turns: '64 records a turn', bursts: '2,048 records a turn' };
const ROUNDS = {
  turns: { full: { warmups: 3, rounds: 15 }, quick: { warmups: 2, rounds: 7 } },
  bursts: { full: { warmups: 3, rounds: 15 }, quick: { warmups: 2, rounds: 7 } },
  emit: { full: { warmups: 1, rounds: 6 }, quick: { warmups: 1, rounds: 2 } },
  heap: { full: { warmups: 10, rounds: 15 }, quick: { warmups: 5, rounds: 5 } },
  rate: { full: { warmups: 1, rounds: 4 }, quick: { warmups: 1, rounds: 2 } },
};
const IS_NODE_24 = Number.parseInt(process.versions.node, 10) >= 24;
/** The part of the CPU time of others that was aimed at. */
const CPU_GOALS = { 'batch, otlp-proto': IS_NODE_24 ? 0.28 : 0.33, 'batch, exporter': IS_NODE_24 ? 0.4 : 0.5 };

export async function run({ isQuick, receivers, progress }) {
  const passes = async (measured, names, what = measured) => {
    const subjects = names.map((name) => [
      name,
      { pipeline: name, port: receivers.portOf(PIPELINES[name].client), measured },
    ]);
    const rounds = ROUNDS[measured][isQuick ? 'quick' : 'full'];
    const outcomes = await interleave({ scenario: 'pipeline', subjects: Object.fromEntries(subjects), ...rounds });
    progress(what);
    return outcomes;
  };
  const rates = [];
  for (const ackDelayMillis of ACK_DELAYS) {
    await receivers.delayAcks(ackDelayMillis);
    const outcomes = await passes('rate', RATED, `rate, acks after ${ackDelayMillis} ms`);
    rates.push({ ackDelayMillis, recordsPerSecond: compare(outcomes, 'recordsPerSecond', { moreIsBetter: true }) });
  }
  await receivers.delayAcks(0);
  return {
    turns: aboveBare(await passes('turns', ALL), 'cpuNanos'),
    bursts: aboveBare(await passes('bursts', ALL), 'cpuNanos'),
    emit: emitFigures(await passes('emit', ALL)),
    heap: aboveBare(await passes('heap', ALL), 'heapBytes'),
    rates,
  };
}

/** What the SDK costs without any of them is the same for all: what is above it is compared. */
function aboveBare(outcomes, figure) {
  const above = (name) => outcomes[name].map((outcome, round) => outcome[figure] - outcomes[BARE][round][figure]);
  return ALL.map((subject) => {
    const figures = { subject, ...spread(outcomes[subject].map((outcome) => outcome[figure])) };
    if (subject === BARE) return figures;
    const times = subject === 'processor' ? undefined : ratio(above('processor'), above(subject));
    return { ...figures, above: spread(above(subject)), times };
  });
}

function emitFigures(outcomes) {
  return ALL.map((subject) => {
    const median = (figure) => spread(outcomes[subject].map((outcome) => outcome[figure])).median;
    const stretches = outcomes[subject].flatMap((outcome) => outcome.stretches);
    return {
      subject,
      micros: { p50: median('p50'), p99: median('p99'), 'p99.9': median('p999'), max: median('max') },
      stretch: { p50: quantile(stretches, 0.5), p90: quantile(stretches, 0.9), max: max(stretches) },
    };
  });
}

export function tables({ emit, heap, rates, ...results }) {
  return [
    ...Object.entries(CPU).map(([load, title]) => ({
      title: `CPU nanoseconds a record, ${title}`,
      rows: aboveRows(results[load]),
    })),
    {
      title: 'microseconds of emit(), 20 records a millisecond',
      digits: 1,
      rows: emit.map(({ subject, micros }) => ({ '': subject, ...micros })),
    },
    {
      title: 'longest synchronous stretch outside of emit() in 250 ms, in ms',
      digits: 2,
      rows: emit.map(({ subject, stretch }) => ({ '': subject, ...stretch })),
    },
    { title: 'heap bytes a record that survive a scavenge', digits: 1, rows: aboveRows(heap) },
    ...rates.map(({ ackDelayMillis, recordsPerSecond }) => ({
      title: `records a second, acks after ${ackDelayMillis} ms`,
      rows: recordsPerSecond.map(({ subject, median, p10, p90, advantage }) => ({
        '': subject,
        median,
        p10,
        p90,
        'processor: times as many': advantage?.median,
      })),
    })),
  ];
}

function aboveRows(figures) {
  return figures.map(({ subject, median, p10, p90, above, times }) => ({
    '': subject,
    median,
    p10,
    p90,
    'above the bare SDK': above?.median,
    'processor: times that': times?.median,
  }));
}

export function goals({ emit, heap, rates, ...results }) {
  const of = (figures, name) => figures.find(({ subject }) => subject === name);
  const cpu = Object.entries(CPU).flatMap(([load, title]) =>
    Object.entries(CPU_GOALS).map(([name, most]) =>
      goal(`CPU above the bare SDK vs ${name}; ${title}`, { most }, of(results[load], name).times.median),
    ),
  );
  const [own, exporter, otlpProto] = RATED.map((name) => of(emit, name));
  const slow = rates.find(({ ackDelayMillis }) => ackDelayMillis === 50).recordsPerSecond;
  return [
    ...cpu,
    goal('records/s vs batch, exporter; acks after 50 ms', { least: 8 }, of(slow, 'batch, exporter').advantage.median),
    goal('time of emit(), p99.9, vs batch, exporter', { most: 1.5 }, own.micros['p99.9'] / exporter.micros['p99.9']),
    goal(
      'longest stretch outside of emit() vs batch, otlp-proto',
      { most: 1 / 3 },
      own.stretch.p50 / otlpProto.stretch.p50,
    ),
    goal(
      'heap bytes a record above the bare SDK that survive a scavenge',
      { most: 8 },
      of(heap, 'processor').above.median,
    ),
  ];
}
