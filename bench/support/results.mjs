import { writeFileSync } from 'node:fs';
import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import stringify from 'json-stringify-pretty-compact';
import { renderChart } from './chart.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const rounded = (_key, value) =>
  typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(4)) : value;

/** What a run's results begin with. */
export function header({ quick }) {
  return { date: new Date().toISOString().slice(0, 10), node: process.version, quick };
}

/** Writes results and their charts into a folder: `results.json` and `results.svg`, or `quick-…` of a quick run. */
export async function writeResults(folder, name, results, charts) {
  writeJson(folder, results);
  write(new URL(`${prefix(results)}results.svg`, folder), await renderChart(charts, { name, ...results }));
}

/** Writes results that have no chart. */
export function writeJson(folder, results) {
  const text = stringify(results, { maxLength: 160, replacer: rounded });
  write(new URL(`${prefix(results)}results.json`, folder), `${text}\n`);
}

function prefix({ quick }) {
  return quick ? 'quick-' : '';
}

function write(url, content) {
  writeFileSync(url, content);
  console.error(`wrote ${relative(ROOT, fileURLToPath(url))}`);
}
