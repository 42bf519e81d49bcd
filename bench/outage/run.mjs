import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { Child } from '../support/child.mjs';

const RECEIVER = new URL('receiver.mjs', import.meta.url);
/** Above every client's own limits. */
const LIMIT_MILLIS = 300_000;

/** What becomes of a client's records in a scenario. */
export async function run(subject, scenario) {
  const receiver = new Child(RECEIVER);
  try {
    const port = await receiver.ask('listen', subject.protocol);
    const { records, recordsPerSecond, faults, finishLimitMillis, end } = scenario;
    const args = [port, records, recordsPerSecond, finishLimitMillis, end];
    const outcome = await runClient(subject, args, () => receiver.ask('startFaults', faults));
    return count(scenario, await receiver.ask('tally'), outcome);
  } finally {
    await receiver.end();
  }
}

/** Runs a client to its end. Returns what it has reported. */
async function runClient({ name, command, lossesIn }, args, onStarted) {
  const [file, ...first] = command;
  const child = spawn(file, [...first, ...args], { stdio: ['ignore', 'pipe', 'pipe'], timeout: LIMIT_MILLIS });
  const exit = once(child, 'close');
  const stderr = text(child.stderr);
  let result;
  for await (const line of createInterface({ input: child.stdout })) {
    if (line === 'started') onStarted();
    else if (line.startsWith('{')) result = JSON.parse(line);
  }
  await exit;
  if (result === undefined) throw new Error(`${name} has ended without a result:\n${(await stderr).slice(-2_000)}`);
  return { ...result, given: lossesIn(await stderr) };
}

/** Of a client that names the records that it calls lost, those count that have not arrived after all. */
function count({ records }, { received, numbers }, { reported, given, isFinished }) {
  const lost = records - numbers.size;
  const named = Array.isArray(reported) ? reported.filter((number) => !numbers.has(number)).length : reported;
  return {
    emitted: records,
    lost,
    duplicated: received - numbers.size,
    reported: Math.min(lost, named + given),
    isFinished,
  };
}
