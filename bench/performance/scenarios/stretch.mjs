// For how long an export keeps the event loop from anything else.
import { setImmediate as turn } from 'node:timers/promises';
import { max, quantile } from 'd3-array';
import { createClient } from '../clients.mjs';
import { goal } from '../figures.mjs';
import { interleave } from '../interleave.mjs';
import { Workload } from '../workload.mjs';

export const TITLE = 'The longest synchronous stretch of an export, in milliseconds';

const CLIENTS = ['exporter', 'otlp-proto', 'otlp-http', '@fluent-org/logger'];
const BATCHES = [512, 4_096];
const EXPORTS = 4;

export async function createSubject({ client, port, batch }) {
  const workload = new Workload();
  const { prepare, send, close } = await createClient(client, { port });
  return {
    async pass() {
      const stretches = [];
      while (stretches.length < EXPORTS) {
        const records = prepare(workload.records(batch));
        globalThis.gc({ type: 'minor' });
        await turn();
        stretches.push(await longestStretch(() => send(records)));
      }
      return stretches;
    },
    close,
  };
}

/** The longest time between two turns of the event loop, which never waits meanwhile. */
async function longestStretch(run) {
  let longest = 0;
  let isRunning = true;
  let last = performance.now();
  const look = () => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
    if (isRunning) setImmediate(look);
  };
  setImmediate(look);
  await run();
  isRunning = false;
  return longest;
}

export async function run({ isQuick, receivers, progress }) {
  const results = [];
  for (const batch of isQuick ? BATCHES.slice(1) : BATCHES) {
    const outcomes = await interleave({
      scenario: 'stretch',
      subjects: Object.fromEntries(
        CLIENTS.map((client) => [client, { client, port: receivers.portOf(client), batch }]),
      ),
      warmups: isQuick ? 1 : 3,
      rounds: isQuick ? 2 : 12,
    });
    progress(`batches of ${batch}`);
    const figures = CLIENTS.map((client) => {
      const stretches = outcomes[client].flat();
      return { subject: client, p50: quantile(stretches, 0.5), p99: quantile(stretches, 0.99), max: max(stretches) };
    });
    results.push({ batch, figures });
  }
  return results;
}

export function tables(results) {
  return results.map(({ batch, figures }) => ({
    title: `batches of ${batch}`,
    digits: 2,
    rows: figures.map(({ subject, ...own }) => ({
      '': subject,
      ...own,
      'p99: times the exporter’s': own.p99 / figures[0].p99,
    })),
  }));
}

export function goals(results) {
  const { figures } = results.find(({ batch }) => batch === 4_096);
  const p99 = (name) => figures.find(({ subject }) => subject === name).p99;
  return [
    goal(
      'longest synchronous stretch, 4,096 records, p99, vs OTLP/proto',
      { most: 1 / 5 },
      p99('exporter') / p99('otlp-proto'),
    ),
  ];
}
