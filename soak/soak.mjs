// Sends records to receivers that are killed in turn, and counts: `npm run soak`, or `npm run soak -- --help`.
import { subscribe } from 'node:diagnostics_channel';
import { constants } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { LoggerProvider } from '@opentelemetry/sdk-logs';
import { FluentForwardLogRecordProcessor } from 'opentelemetry-exporter-fluent-forward';
import { number, Progress, paint, showTroubles, table } from '../scripts/terminal.mjs';
import { installedVersion, NOT_INSTALLED } from '../test/support/fluentd-process.mjs';
import { Receivers } from './receivers.mjs';
import { droppedOf, Tally } from './tally.mjs';

const RECORDS_PER_SECOND = 5_000;
const DEFAULT_SECONDS = 60;
/** Long enough for a kill. */
const MIN_SECONDS = 3;
const MAX_SECONDS = 3_600;
const ROTATION_INTERVAL_MILLIS = 1_000;
const CONNECTIONS = 2;
/** The default. It holds more than ten seconds' records, so none may be dropped. */
const MAX_IN_FLIGHT_BYTES = 33_554_432;
const TICK_MILLIS = 20;
const CLOSE_LIMIT_MILLIS = 20_000;

const USAGE = `Usage: npm run soak [-- [--seconds <n>] [--embedded [--lossy]]]

Sends ${number(RECORDS_PER_SECOND)} log records a second to three Fluentd processes, over connections that are replaced
every second, while the receivers are killed (SIGKILL) and started again in turn. Then it compares
what was emitted with what the receivers have.

  --seconds <n>  for how long, ${MIN_SECONDS} to ${number(MAX_SECONDS)} (default ${DEFAULT_SECONDS})
  --embedded     to receivers of this package, which needs no Fluentd
  --lossy        the embedded receivers acknowledge some records and throw them away: this must fail
  --help         show this text

Exit code: 0 when receivers were killed, every record was acknowledged and received, the statistics
added up at every moment, the memory stayed within its bound and no socket is left; 1 when not; 2
for bad arguments, or without Fluentd.`;

/** The sockets that this process has opened. */
class Sockets {
  opened = 0;
  peak = 0;
  #open = new Set();

  constructor() {
    subscribe('net.client.socket', ({ socket }) => {
      this.opened++;
      this.#open.add(socket);
      this.peak = Math.max(this.peak, this.#open.size);
      socket.once('close', () => this.#open.delete(socket));
    });
  }

  /** How many stay open; a socket takes a moment to close. */
  async left() {
    const end = performance.now() + CLOSE_LIMIT_MILLIS;
    while (this.#open.size > 0 && performance.now() < end) await sleep(TICK_MILLIS);
    return this.#open.size;
  }
}

/** Emits at a steady rate: what a late tick has left out comes with it. */
async function emitAll(logger, tally, records) {
  const start = performance.now();
  while (tally.emitted < records) {
    const due = Math.floor((RECORDS_PER_SECOND * (performance.now() - start)) / 1_000);
    while (tally.emitted < Math.min(due, records)) {
      logger.emit({
        severityNumber: 9,
        severityText: 'INFO',
        body: 'POST /cart/items 201',
        attributes: { 'http.request.method': 'POST', 'url.path': '/cart/items', ...tally.next() },
      });
    }
    tally.sample();
    await sleep(TICK_MILLIS);
  }
}

/** Sends the records while the receivers come and go, and shows how it goes. */
async function send(receivers, processor, seconds, tally) {
  const provider = new LoggerProvider({ processors: [processor] });
  const start = performance.now();
  const progress = new Progress(() => {
    const elapsed = ((performance.now() - start) / 1_000).toFixed(1);
    const { stats } = tally;
    const { kills, down } = receivers;
    const status = `held ${number(stats.held.records)}  kills ${kills}${down === undefined ? '' : `, ${down} is down`}`;
    return `  ${elapsed} s  emitted ${number(tally.emitted)}  acknowledged ${number(stats.acknowledged.records)}  ${status}`;
  });
  showTroubles(progress);
  await Promise.all([
    emitAll(provider.getLogger('soak'), tally, seconds * RECORDS_PER_SECOND),
    receivers.killInTurn(seconds * 1_000),
  ]);
  await provider.shutdown();
  progress.end();
}

async function soak({ seconds, embedded, lossy }) {
  console.log(`Starting three receivers (${embedded ? 'embedded' : `Fluentd ${installedVersion()}`})\n`);
  const receivers = await Receivers.start({ embedded, lossy });
  const sockets = new Sockets();
  const processor = new FluentForwardLogRecordProcessor({
    endpoint: Receivers.NAME,
    resolver: receivers.resolver,
    rotationIntervalMillis: ROTATION_INTERVAL_MILLIS,
    connections: CONNECTIONS,
    maxInFlightBytes: MAX_IN_FLIGHT_BYTES,
  });
  const tally = new Tally(processor, seconds * RECORDS_PER_SECOND);
  await send(receivers, processor, seconds, tally);
  const endRss = tally.sample();
  const socketsLeft = await sockets.left();
  const counts = await receivers.read((record) => tally.arrived(record));

  const { kills } = receivers;
  showOutcome({ tally, kills, counts, endRss, sockets, socketsLeft });
  const faults = [...faultsOf(tally)];
  if (kills === 0) faults.push('no receiver was killed');
  if (socketsLeft > 0) faults.push(`${socketsLeft} sockets are left`);
  return conclude(faults, tally);
}

function* faultsOf({ emitted, peakHeldBytes, received, stats, unaccounted }) {
  const dropped = droppedOf(stats);
  if (stats.acknowledged.records === 0) yield 'nothing was acknowledged';
  if (emitted > received) yield `${number(emitted - received)} records were lost`;
  if (dropped > 0) yield `${number(dropped)} records were dropped though receivers were up`;
  if (stats.held.records > 0) yield `${number(stats.held.records)} records are held after the shutdown`;
  if (unaccounted !== undefined) yield `the statistics do not add up: ${JSON.stringify(unaccounted)}`;
  if (peakHeldBytes > MAX_IN_FLIGHT_BYTES) yield `${number(peakHeldBytes)} bytes were held`;
}

function showOutcome({ tally, kills, counts, endRss, sockets, socketsLeft }) {
  const { emitted, latency, received, stats } = tally;
  const reasons = Object.entries(stats.dropped).filter(([, records]) => records > 0);
  console.log(`\n${paint('bold', 'What became of the records')}\n`);
  table([
    ['emitted', emitted, `by the application, ${number(RECORDS_PER_SECOND)} a second`],
    ['acknowledged', stats.acknowledged.records, 'by the receivers'],
    ['dropped', droppedOf(stats), reasons.map(([reason, records]) => `${reason} ${number(records)}`).join(', ')],
    ['received', received, counts.join(', ')],
    ['lost', emitted - received, 'records that arrived nowhere'],
    ['resent', stats.resent.records, 'records sent once more, after a kill or without an ack in time'],
    ['duplicated', tally.duplicated, 'records that arrived more than once'],
    ['kills', kills, 'of receivers, each started again'],
    ['latency p50', millis(latency.percentile(50)), 'ms from emit to ack'],
    ['latency p99', millis(latency.percentile(99)), 'ms'],
    ['latency max', millis(latency.max), 'ms'],
    ['held at peak', megabytes(tally.peakHeldBytes), `MB, of ${megabytes(MAX_IN_FLIGHT_BYTES)}`],
    ['RSS at start', megabytes(tally.startRss), 'MB'],
    ['RSS at peak', megabytes(tally.peakRss), 'MB'],
    ['RSS at end', megabytes(endRss), 'MB'],
    ['rotations', stats.rotations, 'of connections, because of their age'],
    ['connections', sockets.opened, `opened, at most ${sockets.peak} at once`],
    ['sockets left', socketsLeft, 'after the shutdown'],
  ]);
}

function conclude(faults, { stats }) {
  if (faults.length === 0) {
    console.log(`\n${paint('green', 'Every record was received.')}`);
    return 0;
  }
  console.log();
  console.error(paint('red', `Failed: ${faults.join('; ')}.`, process.stderr));
  if (stats.lastError !== undefined) console.error(stats.lastError.message);
  return 1;
}

function millis(microseconds) {
  return Math.round(microseconds / 1_000);
}

function megabytes(bytes) {
  return Math.round(bytes / 1e6);
}

function readArguments() {
  const { values } = parseArgs({
    options: {
      seconds: { type: 'string', default: String(DEFAULT_SECONDS) },
      embedded: { type: 'boolean', default: false },
      lossy: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h' },
    },
  });
  const seconds = Number(values.seconds);
  if (!Number.isInteger(seconds) || seconds < MIN_SECONDS || seconds > MAX_SECONDS) {
    throw new RangeError(
      `--seconds is a whole number from ${MIN_SECONDS} to ${number(MAX_SECONDS)}, not '${values.seconds}'`,
    );
  }
  if (values.lossy && !values.embedded) throw new Error('--lossy is for --embedded receivers');
  return { ...values, seconds };
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
  if (!values.embedded && installedVersion() === undefined) {
    console.error(`${NOT_INSTALLED}; or use --embedded`);
    return 2;
  }
  return soak(values);
}

// The receivers and their directories go when this process exits; a signal's own end would leave them.
for (const signal of ['SIGHUP', 'SIGINT', 'SIGTERM']) {
  process.once(signal, () => process.exit(128 + constants.signals[signal]));
}
try {
  process.exitCode = await main();
} catch (error) {
  console.error(error);
  process.exit(1);
}
