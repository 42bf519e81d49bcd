// What the metrics and the diagnostics channels cost, and that they cost nothing where nobody asked for them.
import { subscribe } from 'node:diagnostics_channel';
import { MeterProvider, MetricReader } from '@opentelemetry/sdk-metrics';
import { Telemetry } from '../../../dist/esm/telemetry/telemetry.js';
import { createClient } from '../clients.mjs';
import { compare, goal } from '../figures.mjs';
import { interleave } from '../interleave.mjs';
import { measure } from '../window.mjs';
import { Workload } from '../workload.mjs';

export const TITLE = 'Metrics and diagnostics channels: the process’s CPU microseconds an export of 16 records';

const BATCH = 16;
const EXPORTS = 512;

/** What each has beside the exporter. */
const SUBJECTS = {
  off: () => ({}),
  /** The same with the code itself gone: every method that is called on the way of a chunk does nothing. */
  'taken out': () => {
    for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(Telemetry.prototype))) {
      if (value !== undefined && name !== 'constructor') Telemetry.prototype[name] = () => {};
    }
    return {};
  },
  metrics: () => ({ selfObsMeterProvider: new MeterProvider({ readers: [new IdleReader()] }) }),
  channels: () => {
    for (const event of ['sent', 'acknowledged']) subscribe(`fluent-forward:chunk:${event}`, () => {});
    return {};
  },
};

/** Collecting is not on the way of a chunk. */
class IdleReader extends MetricReader {
  async onForceFlush() {}
  async onShutdown() {}
}

export function createSubject({ subject, port }) {
  const workload = new Workload();
  const { send, close } = createClient('exporter', { port, ...SUBJECTS[subject]() });
  return {
    async pass() {
      const batches = Array.from({ length: EXPORTS }, () => workload.records(BATCH));
      const { cpuMicros } = await measure(async () => {
        for (const records of batches) await send(records);
      });
      return { cpuMicros: cpuMicros / EXPORTS };
    },
    close,
  };
}

export async function run({ isQuick, receivers, progress }) {
  const port = receivers.portOf('exporter');
  const outcomes = await interleave({
    scenario: 'telemetry',
    subjects: Object.fromEntries(Object.keys(SUBJECTS).map((subject) => [subject, { subject, port }])),
    warmups: isQuick ? 1 : 3,
    rounds: isQuick ? 3 : 20,
  });
  progress('all rounds');
  return compare(outcomes, 'cpuMicros', { moreIsBetter: false });
}

export function tables(results) {
  const rows = results.map(({ subject, median, p10, p90, advantage }) => ({
    '': subject,
    'CPU µs': median,
    p10,
    p90,
    'times as much as off': advantage?.median,
  }));
  return [{ rows, digits: 1 }];
}

export function goals(results) {
  const { advantage } = results.find(({ subject }) => subject === 'taken out');
  // As near as a run of this length can tell.
  return [
    goal('metrics and channels that are off: times the CPU without their code', { most: 1.05 }, 1 / advantage.median),
  ];
}
