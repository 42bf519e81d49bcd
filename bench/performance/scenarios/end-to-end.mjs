// From records to acks, over real sockets.
import { setImmediate as turn } from 'node:timers/promises';
import { CLIENTS, createClient } from '../clients.mjs';
import { compare, goal } from '../figures.mjs';
import { interleave } from '../interleave.mjs';
import { bodiesIn } from '../sample.mjs';
import { measure } from '../window.mjs';
import { Workload } from '../workload.mjs';

export const TITLE = 'End to end, with acknowledgements: records a second, and the process’s CPU time a record';

const ALL = Object.keys(CLIENTS).filter((client) => client !== 'no-op');
const MAIN = ['exporter', 'otlp-proto', '@fluent-org/logger', 'raw socket'];

/** What is measured: batches of so many records, so many of them under way at once, acks after so long; in a quick run with `quick`. */
const SETTINGS = [
  { batch: 512, inFlight: 1, records: 8_192, clients: ALL, quick: MAIN },
  { batch: 512, inFlight: 8, records: 16_384, clients: [...MAIN, 'exporter, @msgpack/msgpack'] },
  { batch: 4_096, inFlight: 1, records: 16_384, clients: MAIN },
  {
    batch: 1,
    inFlight: 16,
    records: 1_024,
    clients: ['exporter', 'otlp-proto', 'otlp-http', 'raw socket'],
    quick: ['exporter', 'otlp-proto'],
  },
  { batch: 512, inFlight: 8, ackDelayMillis: 5, records: 16_384, clients: MAIN },
  { batch: 512, inFlight: 8, ackDelayMillis: 50, records: 8_192, clients: MAIN },
];
/** More connections: for receivers that take their time. */
const CONNECTIONS = [1, 2, 4];
const CONNECTIONS_SETTING = { batch: 512, inFlight: 32, ackDelayMillis: 5, records: 16_384 };

export async function createSubject({ client, batch, inFlight, records, ...surroundings }) {
  const workload = new Workload();
  const { prepare, send, close } = await createClient(client, surroundings);
  return {
    async pass() {
      const batches = Array.from({ length: records / batch }, () => prepare(workload.records(batch)));
      const { millis, cpuMicros } = await measure(() => sendAll(batches, inFlight, send));
      return { millis, recordsPerSecond: (records / millis) * 1_000, cpuNanos: (cpuMicros * 1_000) / records };
    },
    async sendSample() {
      const sample = workload.records(batch);
      await send(prepare(sample));
      return sample.map(({ body }) => body);
    },
    close,
  };
}

/** Sends a batch as soon as there is room for it. Rejects when one has no ack. */
async function sendAll(batches, inFlight, send) {
  let next = 0;
  const lane = async () => {
    while (next < batches.length) await send(batches[next++]);
  };
  const lanes = [];
  while (lanes.length < inFlight) {
    lanes.push(lane());
    // Each in a turn of its own: what is emitted in one turn is one batch to some.
    await turn();
  }
  await Promise.all(lanes);
}

export async function run({ isQuick, receivers, progress }) {
  const results = [];
  for (const { clients: all, quick, ackDelayMillis = 0, ...setting } of SETTINGS) {
    const clients = isQuick ? quick : all;
    if (clients === undefined) continue;
    const able = clients.filter((client) => setting.inFlight === 1 || !CLIENTS[client].isSerial);
    const subjects = able.map((client) => [client, { client, port: receivers.portOf(client), ...setting }]);
    results.push(await measureSetting(subjects, { ...setting, ackDelayMillis }, { isQuick, receivers, progress }));
  }
  if (isQuick) return results;
  const { ackDelayMillis: _, ...setting } = CONNECTIONS_SETTING;
  const subjects = CONNECTIONS.map((connections) => [
    `exporter, ${connections} connection${connections > 1 ? 's' : ''}`,
    { client: 'exporter', port: receivers.portOf('exporter'), connections, ...setting },
  ]);
  results.push(await measureSetting(subjects, CONNECTIONS_SETTING, { isQuick, receivers, progress }));
  return results;
}

async function measureSetting(subjects, setting, { isQuick, receivers, progress }) {
  const clientOf = Object.fromEntries(subjects.map(([name, { client }]) => [name, client]));
  const { batch, inFlight, ackDelayMillis, records } = setting;
  await receivers.delayAcks(ackDelayMillis);
  const outcomes = await interleave({
    scenario: 'end-to-end',
    subjects: Object.fromEntries(subjects),
    warmups: isQuick ? 1 : 3,
    rounds: isQuick ? 3 : 7,
    around: (name, pass) => receivers.watch(clientOf[name], pass),
    finish: (name, child) => checkSample(clientOf[name], child, receivers),
  });
  await receivers.delayAcks(0);
  progress(describe(setting));
  const of = (figure, moreIsBetter) => compare(outcomes, figure, { moreIsBetter });
  const bytes = of('bytes', false);
  return {
    ...{ batch, inFlight, ackDelayMillis },
    recordsPerSecond: of('recordsPerSecond', true),
    cpuNanos: of('cpuNanos', false),
    receiverUtilisation: of('receiverUtilisation', false),
    wireBytes: bytes.map(({ subject, median }) => ({ subject, perRecord: median / records })),
  };
}

/** What a client sends has to hold the records that it was given, in their order. */
async function checkSample(client, child, receivers) {
  const { sent, bytes } = await receivers.sample(client, () => child.ask('sendSample'));
  const received = bodiesIn(bytes, client);
  const isSame = sent.length === received.length && sent.every((body, i) => body === received[i]);
  if (!isSame) throw new Error(`${client} has not sent the records that it was given`);
}

function describe({ batch, inFlight, ackDelayMillis }) {
  return `batches of ${batch}, ${inFlight} under way, acks after ${ackDelayMillis} ms`;
}

export function tables(results) {
  return results.map(({ recordsPerSecond, cpuNanos, receiverUtilisation, wireBytes, ...setting }) => ({
    title: describe(setting),
    rows: recordsPerSecond.map((own, i) => ({
      '': own.subject,
      'records/s': own.median,
      p10: own.p10,
      p90: own.p90,
      'exporter: times as many': own.advantage?.median,
      'CPU ns': cpuNanos[i].median,
      'times the exporter’s': cpuNanos[i].advantage?.median,
      'receiver busy, %': receiverUtilisation[i].median * 100,
      'bytes a record': wireBytes[i].perRecord,
    })),
  }));
}

export function goals(results) {
  return results.flatMap(({ batch, inFlight, ackDelayMillis, recordsPerSecond, cpuNanos }) => {
    if (ackDelayMillis !== 0) return [];
    const what = describe({ batch, inFlight, ackDelayMillis });
    const over = (figures, name) => figures.find(({ subject }) => subject === name)?.advantage.median;
    if (batch === 1) {
      return [
        goal(
          `one record an export vs OTLP/proto: times the records/s`,
          { least: 3 },
          over(recordsPerSecond, 'otlp-proto'),
        ),
      ];
    }
    return [
      goal(`vs OTLP/proto: times the records/s; ${what}`, { least: 5 }, over(recordsPerSecond, 'otlp-proto')),
      goal(`vs OTLP/proto: CPU a record; ${what}`, { most: 1 / 5 }, 1 / over(cpuNanos, 'otlp-proto')),
      goal(
        `vs @fluent-org/logger: times the records/s; ${what}`,
        { least: 10 },
        over(recordsPerSecond, '@fluent-org/logger'),
      ),
      goal(`vs raw socket: part of its records/s; ${what}`, { least: 0.2 }, over(recordsPerSecond, 'raw socket')),
    ];
  });
}
