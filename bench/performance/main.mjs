// Measures the exporter against what else sends log records: `npm run bench`, `-- --quick`, `-- --only <scenario>`.
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { header, writeResults } from '../support/results.mjs';
import { row } from '../support/table.mjs';
import { chartsOf } from './charts.mjs';
import { Receivers } from './receivers.mjs';

const SCENARIOS = [
  'encode',
  'end-to-end',
  'pipeline',
  'wire-bytes',
  'stretch',
  'latency',
  'telemetry',
  'rotation',
  'outage',
  'cold-start',
  'installed-size',
  'growth',
];
/** What takes its time, and has no goal. */
const NOT_FOR_QUICK = ['rotation', 'outage', 'growth'];

const { values: options } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, only: { type: 'string' } },
});

function namesOf({ quick, only }) {
  if (only !== undefined) return SCENARIOS.filter((name) => name === only);
  return quick ? SCENARIOS.filter((name) => !NOT_FOR_QUICK.includes(name)) : SCENARIOS;
}

function show({ title, rows, digits = 0 }) {
  if (title !== undefined) console.log(`  ${title}`);
  console.table(
    Object.fromEntries(
      rows.map(({ '': name, ...columns }) => [
        name,
        // Ratios are small numbers, in tables of large ones.
        Object.assign(
          {},
          ...Object.entries(columns).map(([column, value]) =>
            row({ [column]: value }, /times/.test(column) ? 2 : digits),
          ),
        ),
      ]),
    ),
  );
}

function showGoals(goals) {
  const rows = goals.map(({ name, least, most, measured, isReached }) => [
    name,
    {
      goal: least === undefined ? `≤ ${round(most)}` : `≥ ${round(least)}`,
      measured: round(measured),
      '': isReached ? '' : 'missed',
    },
  ]);
  console.table(Object.fromEntries(rows));
}

function round(value) {
  return Number(value.toPrecision(3));
}

async function main() {
  const names = namesOf(options);
  if (names.length === 0) throw new Error(`--only takes one of ${SCENARIOS.join(', ')}`);
  const results = { ...header(options), processors: availableParallelism(), goals: [] };
  const start = performance.now();
  const progress = (what) => console.log(`  ${Math.round((performance.now() - start) / 1_000)} s: ${what}`);
  const receivers = await Receivers.start();
  try {
    for (const name of names) {
      const scenario = await import(`./scenarios/${name}.mjs`);
      console.log(`\n${scenario.TITLE}`);
      results[name] = await scenario.run({ isQuick: options.quick, receivers, progress });
      for (const table of scenario.tables(results[name])) show(table);
      results.goals.push(...(scenario.goals?.(results[name]) ?? []));
    }
  } finally {
    await receivers.end();
  }
  console.log('\nGoals');
  showGoals(results.goals);
  if (options.only === undefined) {
    await writeResults(new URL('..', import.meta.url), 'bench', results, chartsOf(results));
  }
}

await main();
