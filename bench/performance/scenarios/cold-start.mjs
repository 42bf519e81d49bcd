// A new process: importing the client, and its first record to the ack.

import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { spread } from '../../support/statistics.mjs';

export const TITLE = 'Cold start: a new process imports the client and sends a record';

const PROGRAM = fileURLToPath(new URL('../first-record.mjs', import.meta.url));
const CLIENTS = ['exporter', 'otlp-proto', 'otlp-http', '@fluent-org/logger', 'fluent-logger'];

export async function run({ isQuick, receivers, progress }) {
  const outcomes = Object.fromEntries(CLIENTS.map((client) => [client, []]));
  for (let round = 0; round < (isQuick ? 2 : 8); round++) {
    for (const client of CLIENTS) outcomes[client].push(await start(client, receivers.portOf(client)));
  }
  progress('all rounds');
  return CLIENTS.map((subject) => {
    const of = (figure) => spread(outcomes[subject].map((outcome) => outcome[figure]));
    return { subject, importMillis: of('importMillis'), importBytes: of('importBytes'), ackMillis: of('ackMillis') };
  });
}

async function start(client, port) {
  const child = fork(PROGRAM, [client, String(port)], { execArgv: ['--expose-gc'] });
  const exit = once(child, 'exit');
  const [outcome] = await Promise.race([once(child, 'message'), exit]);
  await exit;
  if (typeof outcome !== 'object') throw new Error(`the first record of ${client} has no ack`);
  return outcome;
}

export function tables(results) {
  const rows = results.map(({ subject, importMillis, importBytes, ackMillis }) => ({
    '': subject,
    'import, ms': importMillis.median,
    'its memory, kB': importBytes.median / 1_000,
    'import to first ack, ms': ackMillis.median,
    p10: ackMillis.p10,
    p90: ackMillis.p90,
  }));
  return [{ digits: 1, rows }];
}
