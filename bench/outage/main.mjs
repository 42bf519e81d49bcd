// Counts what clients lose when a receiver fails: `npm run bench:outage`, or with `-- --quick` in less than a minute.
import { parseArgs } from 'node:util';
import { header, writeJson } from '../support/results.mjs';
import { buildGolang } from './golang.mjs';
import { run } from './run.mjs';
import { scenarios } from './scenarios.mjs';
import { subjects } from './subjects.mjs';
import { markdown } from './table.mjs';

const { values: options } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, only: { type: 'string' } },
});
const start = performance.now();

function progress(what) {
  console.error(`  ${Math.round((performance.now() - start) / 1_000)} s: ${what}`);
}

/** Runs a scenario with each client, at once or in turn. */
async function outcomesOf(scenario, clients) {
  const measure = async (client) => {
    const outcome = await run(client, scenario);
    const { lost, reported, duplicated } = outcome;
    progress(`${scenario.title}: ${client.name}: ${lost} lost, ${reported} reported, ${duplicated} duplicated`);
    return [client.name, outcome];
  };
  if (!scenario.isSerial) return Object.fromEntries(await Promise.all(clients.map(measure)));
  const outcomes = [];
  for (const client of clients) outcomes.push(await measure(client));
  return Object.fromEntries(outcomes);
}

async function main() {
  const golang = await buildGolang();
  if (golang === undefined) progress('Go or fluent-logger-golang is not installed: its rows are left out');
  const clients = subjects(golang).filter(({ name }) => options.only === undefined || name === options.only);
  const plan = scenarios(options.quick);
  const results = { ...header(options), records: {} };
  for (const scenario of plan) results.records[scenario.name] = await outcomesOf(scenario, clients);
  console.log(markdown(plan, clients, results.records));
  if (options.only === undefined) writeJson(new URL('.', import.meta.url), results);
}

await main();
