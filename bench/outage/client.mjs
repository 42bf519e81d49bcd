// One client in a process of its own: emits, ends as its documentation says or by `process.exit()`, and writes to stdout
// what it has reported.
import { writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { FACTORIES } from './clients.mjs';

const TICK_MILLIS = 5;

const [name, ...rest] = process.argv.slice(2);
const [port, records, recordsPerSecond, finishLimitMillis] = rest.map(Number);
const end = rest.at(-1);
const STANDARD_OUTPUT = 1;

async function emitAll(emit) {
  const start = performance.now();
  const due = () => (recordsPerSecond === 0 ? records : ((performance.now() - start) / 1_000) * recordsPerSecond);
  let number = 0;
  while (true) {
    for (const last = Math.min(records, due()); number < last; ) emit(number++);
    // Not later: an end by `process.exit()` meets the last record where it is.
    if (number === records) return;
    await sleep(TICK_MILLIS);
  }
}

const { emit, finish, reported } = FACTORIES[name](port);
console.log('started');
await emitAll(emit);
if (end === 'exit') {
  writeSync(STANDARD_OUTPUT, `${JSON.stringify({ reported: reported(), isFinished: false })}\n`);
  process.exit();
}
const isFinished = await Promise.race([finish().then(() => true), sleep(finishLimitMillis, false)]);
process.stdout.write(`${JSON.stringify({ reported: reported(), isFinished })}\n`, () => process.exit());
