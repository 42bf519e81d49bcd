// Measures how a fleet's load is balanced over receivers: `npm run bench:balance`; with `-- --quick` in less than a minute.
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { sum } from 'd3-array';
import { Piscina } from 'piscina';
import { header, writeResults } from '../support/results.mjs';
import * as equalLoad from './equal-load.mjs';
import * as rollingRestart from './rolling-restart.mjs';
import * as scaleOut from './scale-out.mjs';

const EXPERIMENTS = { 'equal-load': equalLoad, 'scale-out': scaleOut, 'rolling-restart': rollingRestart };
const PROGRESS_MILLIS = 5_000;

/** Does all runs of an experiment, in threads of their own. */
async function outcomesOf(name, experiment, options) {
  const filename = fileURLToPath(new URL(`${name}.mjs`, import.meta.url));
  const pool = new Piscina({
    maxThreads: availableParallelism(),
    ...experiment.POOL,
    filename,
    name: 'run',
    // A thread that waits for runs has sockets to serve.
    atomics: 'disabled',
  });
  const runs = experiment.runs(options);
  const start = performance.now();
  const seconds = () => Math.round((performance.now() - start) / 1_000);
  let done = 0;
  const progress = setInterval(() => console.log(`  ${seconds()} s: ${done} of ${runs.length} runs`), PROGRESS_MILLIS);
  const outcomes = await Promise.all(
    runs.map(async (parameters) => {
      const outcome = await pool.run(parameters);
      done++;
      return outcome;
    }),
  );
  clearInterval(progress);
  await pool.destroy();
  console.log(`  ${seconds()} s: all ${runs.length} runs`);
  return outcomes;
}

function totalsOf(outcomes) {
  const of = (key) => sum(outcomes, ({ totals }) => totals[key]);
  return {
    emitted: of('emitted'),
    acknowledged: of('acknowledged'),
    lost: of('lost'),
    duplicated: of('duplicated'),
  };
}

async function main() {
  const { values: options } = parseArgs({ options: { quick: { type: 'boolean', default: false } } });
  const results = header(options);
  const charts = [];
  for (const [name, experiment] of Object.entries(EXPERIMENTS)) {
    console.log(`\n${experiment.TITLE}`);
    const outcomes = await outcomesOf(name, experiment, options);
    const summary = experiment.summarise(outcomes);
    const records = totalsOf(outcomes);
    for (const table of experiment.tables(summary)) console.table(table);
    console.table({ records });
    charts.push(experiment.chart(summary));
    results[name] = { records, summary };
  }
  console.log();
  await writeResults(new URL('.', import.meta.url), 'bench/balance', results, charts);

  const bad = Object.keys(EXPERIMENTS).filter((name) => {
    const { emitted, acknowledged, lost } = results[name].records;
    return lost > 0 || acknowledged < emitted;
  });
  if (bad.length === 0) return 0;
  console.error(`Failed: records were lost or not acknowledged in ${bad.join(', ')}.`);
  return 1;
}

process.exitCode = await main();
