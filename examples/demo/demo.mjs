// Shows the processor at work: `npm run demo`, or `npm run demo -- --help`.
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { DiagLogLevel } from '@opentelemetry/api';
import { LoggerProvider } from '@opentelemetry/sdk-logs';
import { FluentForwardLogRecordProcessor } from 'opentelemetry-exporter-fluent-forward';
import { ForwardReceiver } from 'opentelemetry-exporter-fluent-forward/testing';
import { number, Progress, paint, showTroubles, table } from '../../scripts/terminal.mjs';

const DURATION_MILLIS = 8_000;
const DEFAULT_RECORDS = 8_000;
const MAX_RECORDS = 10_000_000;
const ROTATION_INTERVAL_MILLIS = 1_000;
/** When the receivers of the demo are stopped, and for how long. */
const OUTAGE_AT_MILLIS = 3_000;
const OUTAGE_MILLIS = 2_000;
/** Longer than the outage. */
const GIVE_UP_MILLIS = 6_000;
/** While the processor holds more, the demo emits nothing. So the processor drops nothing. */
const MAX_HELD_BYTES = 8_000_000;
/** Records that are emitted before the demo looks at what the processor holds. */
const BURST = 1_000;
const TICK_MILLIS = 20;

const USAGE = `Usage: npm run demo [-- [--records <n>] [--endpoint <endpoint>]]

Sends log records for about eight seconds to two receivers of its own, over a connection that is
replaced every second, and counts what arrives. For two of these seconds both receivers are down.

  --records <n>          how many records, 1 to ${number(MAX_RECORDS)} (default ${number(DEFAULT_RECORDS)})
  --endpoint <endpoint>  send to a receiver of yours instead, such as tcp://localhost:24224
  --help                 show this text

Exit code: 0 when every record was acknowledged and, with its own receivers, arrived, and both
receivers got some; 1 when not; 2 for bad arguments.`;

/** Two receivers behind one name, and what they saw: the processor's own word is not taken for it. */
class Receivers {
  static NAME = 'tcp://fluent.demo:24224';
  #receivers = [];
  /** Those that were started last. */
  #addresses = [];
  #sequences = new Map();
  #chunks = new Map();
  #connections = new Set();
  /** How often the receivers were started. */
  #starts = 0;
  /** The receivers of the connections that brought records, in their order. */
  route = [];
  received = [0, 0];
  /** The first entry that arrived. */
  example;

  async start() {
    this.#starts++;
    const options = { retain: false };
    this.#receivers = await Promise.all([ForwardReceiver.listen(options), ForwardReceiver.listen(options)]);
    this.#addresses = this.#receivers.map(({ port }) => ({ address: '127.0.0.1', port }));
    for (const [index, receiver] of this.#receivers.entries()) {
      receiver.on('message', (message) => this.#take(index, message));
    }
  }

  async stop() {
    for (const receiver of this.#receivers) await receiver.close();
  }

  /** Replaces DNS: both receivers behind one name. When they are started again, they have other addresses. */
  resolver = async () => this.#addresses;

  #take(index, { connection, chunk, entries }) {
    const from = `${this.#starts} ${index} ${connection}`;
    if (!this.#connections.has(from)) {
      this.#connections.add(from);
      this.route.push('AB'[index]);
    }
    this.received[index] += entries.length;
    this.example ??= entries[0];
    count(this.#chunks, chunk);
    for (const { record } of entries) count(this.#sequences, record.attributes['demo.sequence']);
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

/** What happened to the records; each carries its number in `demo.sequence`. */
class Tally {
  emitted = 0;
  #processor;
  #acknowledged = 0;
  #progressAt = performance.now();

  constructor(processor) {
    this.#processor = processor;
  }

  get stats() {
    return this.#processor.stats();
  }

  get acknowledged() {
    return this.stats.acknowledged.records;
  }

  /** Whether nothing has been acknowledged for long. */
  get isStuck() {
    const { acknowledged } = this;
    if (acknowledged > this.#acknowledged) {
      this.#acknowledged = acknowledged;
      this.#progressAt = performance.now();
    }
    return performance.now() - this.#progressAt > GIVE_UP_MILLIS;
  }
}

/**
 * Spreads the records over the demo's time. On a busy machine ticks come late, so the demo takes longer and still rotates as
 * often.
 */
async function emitAll(logger, run, records, tally) {
  for (let millis = TICK_MILLIS; tally.emitted < records && !tally.isStuck; millis += TICK_MILLIS) {
    const due = Math.min(records, Math.ceil((records * millis) / DURATION_MILLIS));
    while (tally.emitted < due && tally.stats.held.bytes < MAX_HELD_BYTES) {
      const last = Math.min(due, tally.emitted + BURST);
      while (tally.emitted < last) emit(logger, run, tally.emitted++);
    }
    await sleep(TICK_MILLIS);
  }
}

/** Sends the records, and shows how it goes. `meanwhile` gets a function that shows a line. */
async function send({ options, records, run, status, meanwhile }) {
  const processor = new FluentForwardLogRecordProcessor({
    rotationIntervalMillis: ROTATION_INTERVAL_MILLIS,
    ...options,
  });
  const provider = new LoggerProvider({ processors: [processor] });
  const tally = new Tally(processor);
  const start = performance.now();
  const progress = new Progress(() => {
    const seconds = ((performance.now() - start) / 1000).toFixed(1);
    const { emitted, acknowledged } = tally;
    return `  ${seconds} s  emitted ${number(emitted)}  acknowledged ${number(acknowledged)}${status?.() ?? ''}`;
  });
  showTroubles(progress, DiagLogLevel.INFO);
  await Promise.all([
    emitAll(provider.getLogger('demo'), run, records, tally),
    meanwhile?.((line) => progress.show(line)),
  ]);
  await provider.shutdown();
  progress.end();
  return tally;
}

/** Stops both receivers while records flow, and starts them again. */
async function outage(receivers, show) {
  await sleep(OUTAGE_AT_MILLIS);
  await receivers.stop();
  show('  Both receivers are stopped.');
  await sleep(OUTAGE_MILLIS);
  await receivers.start();
  show('  Both receivers are started again.');
}

async function demo(records, run) {
  const receivers = new Receivers();
  await receivers.start();
  console.log(`${paint('bold', 'Two receivers, A and B, behind one name, and a connection that moves between them')}

A connection that lives for ever sends everything to one receiver, however many there are. So the
processor replaces its connection from time to time: here every second, a minute is the default.
It keeps each record until a receiver has acknowledged it. So no move of the connection loses a
record, and neither does an outage: after ${OUTAGE_AT_MILLIS / 1000} seconds both receivers are down for ${OUTAGE_MILLIS / 1000} seconds.

Sending ${number(records)} log records from a LoggerProvider, for about ${DURATION_MILLIS / 1000} seconds:
`);
  const status = () => {
    const [a, b] = receivers.received;
    return `  A ${number(a)}  B ${number(b)}  now at ${receivers.route.at(-1) ?? '…'}`;
  };
  const options = { endpoint: Receivers.NAME, resolver: receivers.resolver };
  const tally = await send({ options, records, run, status, meanwhile: (show) => outage(receivers, show) });
  const { example, resent, duplicated, route } = receivers;
  const [a, b] = receivers.received;
  const lost = receivers.lost(tally.emitted);
  await receivers.stop();

  if (example !== undefined) showRecord(example);
  console.log(`\n${paint('bold', 'What became of the records')}\n`);
  table([
    ['emitted', tally.emitted, 'by the application'],
    ['acknowledged', tally.acknowledged, 'by the receivers'],
    ['received by A', a],
    ['received by B', b],
    ['rotations', tally.stats.rotations, `the connections went to ${route.slice(0, 12).join(' ')}`],
    ['resent', resent, 'chunks that arrived more than once, because the outage cut off their acks'],
    ['duplicated', duplicated, 'records in these chunks'],
    ['lost', lost, 'records that arrived nowhere'],
  ]);
  const faults = faultsOf(tally, records);
  if (lost > 0) faults.push('records were lost');
  if (duplicated > 0 && resent === 0) faults.push('records were duplicated');
  if (a === 0 || b === 0) faults.push('one receiver got nothing');
  return conclude(faults, tally, 'Every record arrived, in spite of the outage, and both receivers had their share.');
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

function conclude(faults, { stats }, praise) {
  if (faults.length === 0) {
    console.log(`\n${paint('green', praise)}`);
    return 0;
  }
  console.log();
  console.error(paint('red', `Failed: ${faults.join('; ')}.`, process.stderr));
  if (stats.lastError !== undefined) console.error(stats.lastError.message);
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
  // The processor knows what an endpoint is.
  if (endpoint !== undefined) new FluentForwardLogRecordProcessor({ endpoint });
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
