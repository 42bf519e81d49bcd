// One client in a process of its own: emits, ends as its documentation says, and writes to stdout what it has reported.
import { setTimeout as sleep } from 'node:timers/promises';
import { FACTORIES } from './clients.mjs';

const TICK_MILLIS = 5;

const [name, ...numbers] = process.argv.slice(2);
const [port, records, recordsPerSecond, finishLimitMillis] = numbers.map(Number);

async function emitAll(emit) {
  const start = performance.now();
  const due = () => (recordsPerSecond === 0 ? records : ((performance.now() - start) / 1_000) * recordsPerSecond);
  for (let number = 0; number < records; await sleep(TICK_MILLIS)) {
    for (const end = Math.min(records, due()); number < end; ) emit(number++);
  }
}

const { emit, finish, reported } = FACTORIES[name](port);
console.log('started');
await emitAll(emit);
const isFinished = await Promise.race([finish().then(() => true), sleep(finishLimitMillis, false)]);
process.stdout.write(`${JSON.stringify({ reported: reported(), isFinished })}\n`, () => process.exit());
