// Shows the exporter at work: `npm run demo`, or `npm run demo -- --help`.
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { BatchLogRecordProcessor, LoggerProvider } from '@opentelemetry/sdk-logs';
import { FluentForwardLogExporter } from 'opentelemetry-exporter-fluent-forward';
import { ForwardReceiver } from 'opentelemetry-exporter-fluent-forward/testing';
import { number, Progress, paint, showTroubles, table } from '../../scripts/terminal.mjs';

const DURATION_MILLIS = 6_000;
const DEFAULT_RECORDS = 6_000;
const MAX_RECORDS = 10_000_000;
const ROTATION_INTERVAL_MILLIS = 1_000;
const BATCH_DELAY_MILLIS = 100;
const QUEUE_SIZE = 8_192;
const TICK_MILLIS = 20;

const USAGE = `Usage: npm run demo [-- [--records <n>] [--endpoint <endpoint>]]

Sends log records for about six seconds to two receivers of its own, over a connection that is
replaced every second, and counts what arrives.

  --records <n>          how many records, 1 to ${number(MAX_RECORDS)} (default ${number(DEFAULT_RECORDS)})
  --endpoint <endpoint>  send to a receiver of yours instead, such as tcp://localhost:24224
  --help                 show this text

Exit code: 0 when every record was acknowledged and, with its own receivers, arrived exactly once
and at both; 1 when not; 2 for bad arguments.`;

/** What happened to the records; each carries its number in `demo.sequence`. */
class Tally {
  emitted = 0;
  acknowledged = 0;
  /** Records with a result, whichever. */
  settled = 0;
  /** The first failed export's. */
  error;

  settle(records, { code, error }) {
    this.settled += records;
    this.acknowledged += code === 0 ? records : (error?.acknowledgedRecords ?? 0);
    if (code !== 0) this.error ??= error;
  }
}

/** Passes everything on to the exporter, and counts the results. */
class CountingExporter {
  #exporter;
  #tally;

  constructor(exporter, tally) {
    this.#exporter = exporter;
    this.#tally = tally;
  }

  export(records, callback) {
    const { length } = records;
    this.#exporter.export(records, (result) => {
      this.#tally.settle(length, result);
      callback(result);
    });
  }

  forceFlush() {
    return this.#exporter.forceFlush();
  }

  shutdown() {
    return this.#exporter.shutdown();
  }
}

/** Two receivers behind one name, and what they saw: the exporter's own word is not taken for it. */
class Receivers {
  static NAME = 'tcp://fluent.demo:24224';
  #receivers;
  #sequences = new Map();
  #chunks = new Map();
  #connections = new Set();
  /** The receivers of the connections that brought records, in their order. */
  route = [];
  /** The first entry that arrived. */
  example;

  static async listen() {
    return new Receivers([
      await ForwardReceiver.listen({ retain: false }),
      await ForwardReceiver.listen({ retain: false }),
    ]);
  }

  constructor(receivers) {
    this.#receivers = receivers;
    for (const [index, receiver] of receivers.entries()) {
      receiver.on('message', (message) => this.#take(letter(index), message));
    }
  }

  /** Stands in for DNS: both receivers behind one name. */
  resolver = async () => this.#receivers.map(({ port }) => ({ address: '127.0.0.1', port }));

  #take(receiver, { connection, chunk, entries }) {
    const from = `${receiver}${connection}`;
    if (!this.#connections.has(from)) {
      this.#connections.add(from);
      this.route.push(receiver);
    }
    this.example ??= entries[0];
    count(this.#chunks, chunk);
    for (const { record } of entries) count(this.#sequences, record.attributes['demo.sequence']);
  }

  get received() {
    return this.#receivers.map(({ entryCount }) => entryCount);
  }

  /** Every connection that brought records after the first one. */
  get rotations() {
    return Math.max(0, this.route.length - 1);
  }

  /** Chunks that arrived more than once. */
  get resent() {
    return [...this.#chunks.values()].filter((times) => times > 1).length;
  }

  /** Records that arrived nowhere. */
  lost(emitted) {
    let lost = 0;
    for (let sequence = 0; sequence < emitted; sequence++) if (!this.#sequences.has(sequence)) lost++;
    return lost;
  }

  /** Records that arrived more than once, at one receiver or at both. */
  get duplicated() {
    return [...this.#sequences.values()].filter((times) => times > 1).length;
  }

  async close() {
    for (const receiver of this.#receivers) await receiver.close();
  }
}

function letter(index) {
  return 'AB'[index];
}

function count(counts, key) {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

const REQUESTS = [
  { method: 'GET', path: '/cart', status: 200 },
  { method: 'POST', path: '/cart/items', status: 201 },
  { method: 'GET', path: '/orders/7', status: 404 },
];

function emit(logger, run, sequence) {
  const { method, path, status } = REQUESTS[sequence % REQUESTS.length];
  const isFine = status < 400;
  logger.emit({
    severityNumber: isFine ? 9 : 13,
    severityText: isFine ? 'INFO' : 'WARN',
    body: `${method} ${path} ${status}`,
    attributes: {
      'demo.run': run,
      'demo.sequence': sequence,
      'http.request.method': method,
      'url.path': path,
      'http.response.status_code': status,
    },
  });
}

/**
 * Spreads the records over the demo's time. On a busy machine ticks come late, so the demo takes longer and still rotates as
 * often. Never has more records under way than the queue takes.
 */
async function emitAll(logger, run, records, tally) {
  for (let millis = TICK_MILLIS; tally.emitted < records && tally.error === undefined; millis += TICK_MILLIS) {
    const due = Math.ceil((records * millis) / DURATION_MILLIS);
    const last = Math.min(records, due, tally.settled + QUEUE_SIZE);
    while (tally.emitted < last) emit(logger, run, tally.emitted++);
    await sleep(TICK_MILLIS);
  }
}

/** Sends the records, and tells how it goes. */
async function send({ options, records, run, status }) {
  const tally = new Tally();
  // Below the default, so that the demo ends soon if no receiver listens.
  process.env.OTEL_EXPORTER_FLUENT_FORWARD_TIMEOUT ??= '10000';
  const exporter = new FluentForwardLogExporter({ rotationIntervalMillis: ROTATION_INTERVAL_MILLIS, ...options });
  const provider = new LoggerProvider({
    processors: [
      new BatchLogRecordProcessor({
        exporter: new CountingExporter(exporter, tally),
        scheduledDelayMillis: BATCH_DELAY_MILLIS,
        maxQueueSize: QUEUE_SIZE,
      }),
    ],
  });
  const start = performance.now();
  const progress = new Progress(() => {
    const seconds = ((performance.now() - start) / 1000).toFixed(1);
    const { emitted, acknowledged } = tally;
    return `  ${seconds} s  emitted ${number(emitted)}  acknowledged ${number(acknowledged)}${status?.() ?? ''}`;
  });
  showTroubles(progress);
  await emitAll(provider.getLogger('demo'), run, records, tally);
  await provider.shutdown();
  progress.end();
  return tally;
}

async function demo(records, run) {
  const receivers = await Receivers.listen();
  console.log(`${paint('bold', 'Two receivers, A and B, behind one name, and a connection that moves between them')}

A connection that lives for ever sends everything to one receiver, however many there are. So the
exporter replaces its connection from time to time: here every second, a minute is the default.
And a batch has succeeded only when the receiver has acknowledged it, so no move loses a record.

Sending ${number(records)} log records from a LoggerProvider, for about ${DURATION_MILLIS / 1000} seconds:
`);
  const status = () => {
    const [a, b] = receivers.received;
    const now = receivers.route.at(-1) ?? '…';
    return `  A ${number(a)}  B ${number(b)}  rotations ${receivers.rotations}, now at ${now}`;
  };
  const options = { endpoint: Receivers.NAME, resolver: receivers.resolver };
  const tally = await send({ options, records, run, status });
  const { example, rotations, resent, duplicated, route } = receivers;
  const [a, b] = receivers.received;
  const lost = receivers.lost(tally.emitted);
  await receivers.close();

  if (example !== undefined) showRecord(example);
  console.log(`\n${paint('bold', 'What became of the records')}\n`);
  table([
    ['emitted', tally.emitted, 'by the application'],
    ['acknowledged', tally.acknowledged, 'as the exporter reported to the processor'],
    ['received by A', a],
    ['received by B', b],
    ['rotations', rotations, `one connection after the other: ${route.slice(0, 12).join(' ')}`],
    ['resent', resent, 'chunks that arrived more than once'],
    ['lost', lost, 'records that arrived nowhere'],
    ['duplicated', duplicated, 'records that arrived more than once'],
  ]);
  const faults = faultsOf(tally, records);
  if (lost > 0) faults.push('records were lost');
  if (duplicated > 0) faults.push('records were duplicated');
  if (a + b !== tally.emitted) faults.push('not as many records were received as emitted');
  if (a === 0 || b === 0) faults.push('one receiver got nothing');
  return conclude(faults, tally, 'Every record arrived exactly once, and both receivers had their share.');
}

async function demoTo(endpoint, records, run) {
  console.log(`Sending ${number(records)} log records to ${endpoint}, for about ${DURATION_MILLIS / 1000} seconds, over a connection
that is replaced every second. Each has the attribute demo.run: ${run}
`);
  const tally = await send({ options: { endpoint }, records, run });
  console.log();
  table([
    ['emitted', tally.emitted, 'by the application'],
    ['acknowledged', tally.acknowledged, 'by the receiver'],
  ]);
  const praise = `The receiver has acknowledged every record. Count them there: demo.sequence 0 to ${records - 1}.`;
  return conclude(faultsOf(tally, records), tally, praise);
}

function showRecord({ tag, time, record }) {
  const at = new Date(time.seconds * 1000).toISOString().slice(0, 19);
  console.log(`\n${paint('bold', 'One of them, as a receiver gets it')}\n
  tag   ${tag}
  time  ${at}.${String(time.nanoseconds).padStart(9, '0')}Z
${JSON.stringify(record, undefined, 2).replace(/^/gm, '  ')}`);
}

function faultsOf({ emitted, acknowledged }, records) {
  const faults = [];
  if (acknowledged !== emitted) faults.push(`${number(emitted - acknowledged)} records were not acknowledged`);
  if (emitted !== records) faults.push(`${number(records - emitted)} were not emitted any more`);
  return faults;
}

function conclude(faults, { error }, praise) {
  if (faults.length === 0) {
    console.log(`\n${paint('green', praise)}`);
    return 0;
  }
  console.log();
  console.error(paint('red', `Failed: ${faults.join('; ')}.`, process.stderr));
  if (error !== undefined) console.error(error.message);
  return 1;
}

function readArguments() {
  const { values } = parseArgs({
    options: { endpoint: { type: 'string' }, records: { type: 'string' }, help: { type: 'boolean', short: 'h' } },
  });
  const records = values.records === undefined ? DEFAULT_RECORDS : Number(values.records);
  if (!Number.isInteger(records) || records < 1 || records > MAX_RECORDS) {
    throw new RangeError(`--records is a whole number from 1 to ${number(MAX_RECORDS)}, not '${values.records}'`);
  }
  const { endpoint } = values;
  // The exporter knows what an endpoint is.
  if (endpoint !== undefined) new FluentForwardLogExporter({ endpoint });
  return { ...values, records };
}

async function main() {
  let values;
  try {
    values = readArguments();
  } catch (error) {
    console.error(`${error.message}\n\n${USAGE}`);
    return 2;
  }
  if (values.help) {
    console.log(USAGE);
    return 0;
  }
  const run = randomUUID();
  return values.endpoint === undefined ? demo(values.records, run) : demoTo(values.endpoint, values.records, run);
}

process.exitCode = await main();
