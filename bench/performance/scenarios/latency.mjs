// From the export of a single record to its ack, with nothing else under way.
import { setTimeout as sleep } from 'node:timers/promises';
import { max, quantile } from 'd3-array';
import { createClient } from '../clients.mjs';
import { interleave } from '../interleave.mjs';
import { Workload } from '../workload.mjs';

export const TITLE = 'Latency: milliseconds from a single record to its ack';

const CLIENTS = ['exporter', 'otlp-proto', 'otlp-http', '@fluent-org/logger', 'raw socket'];
const RECORDS = 50;
const PAUSE_MILLIS = 2;

export async function createSubject({ client, port }) {
  const workload = new Workload();
  const { prepare, send, close } = await createClient(client, { port });
  return {
    async pass() {
      const latencies = [];
      for (const record of workload.records(RECORDS)) {
        const prepared = prepare([record]);
        await sleep(PAUSE_MILLIS);
        const start = performance.now();
        await send(prepared);
        latencies.push(performance.now() - start);
      }
      return latencies;
    },
    close,
  };
}

export async function run({ isQuick, receivers, progress }) {
  const outcomes = await interleave({
    scenario: 'latency',
    subjects: Object.fromEntries(CLIENTS.map((client) => [client, { client, port: receivers.portOf(client) }])),
    warmups: 1,
    rounds: isQuick ? 3 : 12,
  });
  progress('all rounds');
  return CLIENTS.map((subject) => {
    const latencies = outcomes[subject].flat();
    return { subject, p50: quantile(latencies, 0.5), p99: quantile(latencies, 0.99), max: max(latencies) };
  });
}

export function tables(results) {
  return [{ digits: 2, rows: results.map(({ subject, ...figures }) => ({ '': subject, ...figures })) }];
}
