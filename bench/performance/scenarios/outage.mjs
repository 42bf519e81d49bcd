// The memory that a client holds while its receiver is down, and after it has come back.
import { setTimeout as sleep } from 'node:timers/promises';
import { Child } from '../../support/child.mjs';
import { CLIENTS, createClient } from '../clients.mjs';
import { RECEIVER } from '../receivers.mjs';
import { Workload } from '../workload.mjs';

export const TITLE = 'Memory during an outage and after it, in MB above what was held before';

const NAMES = ['exporter', 'otlp-proto', '@fluent-org/logger'];
const SUBJECT = new URL('../subject.mjs', import.meta.url);
const BATCH = 512;
/** Some 100 MB of messages: three times what the exporter may hold. */
const BATCHES = 240;
const DOWN_MILLIS = 2_000;
/** By then every client here has given up or come back. */
const SETTLE_MILLIS = 15_000;

export async function createSubject({ client, port }) {
  const workload = new Workload();
  const { prepare, send, close } = await createClient(client, { port });
  const pending = new Set();
  let failed = 0;
  /** Held by this process, its garbage apart. */
  const heldBytes = async () => {
    // Buffers are freed some time after the collection that finds them unused.
    globalThis.gc();
    await sleep(100);
    globalThis.gc();
    const { heapUsed, external } = process.memoryUsage();
    return heapUsed + external;
  };
  let before;
  return {
    async pass(phase) {
      switch (phase) {
        case 'up':
          await send(prepare(workload.records(BATCH)));
          before = await heldBytes();
          break;
        case 'down':
          for (let batch = 0; batch < BATCHES; batch++) {
            const sent = send(prepare(workload.records(BATCH))).catch(() => failed++);
            pending.add(sent);
            sent.finally(() => pending.delete(sent));
            // Batches come one after the other.
            await sleep(1);
          }
          break;
        case 'after':
          await Promise.race([Promise.all(pending), sleep(SETTLE_MILLIS)]);
      }
      return { heldBytes: (await heldBytes()) - before, failed, pending: pending.size };
    },
    close,
  };
}

export async function run({ progress }) {
  const results = [];
  for (const client of NAMES) {
    results.push({ subject: client, ...(await measureOutage(client)) });
    progress(client);
  }
  return results;
}

async function measureOutage(client) {
  const { receiver: protocol } = CLIENTS[client];
  const start = () => new Child(RECEIVER, { args: [protocol] });
  const subject = new Child(SUBJECT, { args: ['outage'], execArgv: ['--expose-gc', '--no-warnings'] });
  let receiver = start();
  try {
    const port = await receiver.ask('listen');
    await subject.ask('create', { client, port });
    await subject.ask('pass', 'up');
    await receiver.end();
    const during = await subject.ask('pass', 'down');
    await sleep(DOWN_MILLIS);
    receiver = start();
    await receiver.ask('listen', { port });
    const after = await subject.ask('pass', 'after');
    return { during: during.heldBytes, after: after.heldBytes, failed: after.failed, pending: after.pending };
  } finally {
    await subject.end();
    await receiver.end();
  }
}

export function tables(results) {
  const rows = results.map(({ subject, during, after, failed, pending }) => ({
    '': subject,
    'down, MB': during / 1e6,
    'back, MB': after / 1e6,
    'batches failed': failed,
    'without a result': pending,
    batches: BATCHES,
  }));
  return [{ digits: 1, rows }];
}
