import { setImmediate as immediately } from 'node:timers/promises';
import { diag } from '@opentelemetry/api';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { until } from '../../support/fake-clock.ts';
import { exportBodies, type LogLine, recordDiag } from '../../support/harness.ts';
import { Fluentd } from './fluentd.ts';
import { openSockets } from './open-sockets.ts';
import { RecordStream } from './record-stream.ts';

/** The tests run at the same time, as they wait most of it. */
const CONCURRENT = { concurrent: true, timeout: 300_000 };
/**
 * From the receiver's return until all is acknowledged that waited for it: the longest backoff of 5 s, and the time of a
 * busy machine. Without a new try it would be the deadline, which is minutes away.
 */
const RECOVERY_LIMIT_MILLIS = 60_000;

const log: LogLine[] = [];
beforeAll(() => recordDiag(log));
afterAll(() => diag.disable());

/** Nobody listens there. */
const DEAD_PORT = 1;

/** The messages that the exporter may log in these tests, in full but for the endpoint. */
const MESSAGES = {
  // A dial that waits in the queue of a process that is killed is reset too.
  lost: /: ((the server (reset|closed) the connection( before it said anything; .*\?)?|the connection failed: write EPIPE); \d+ unacknowledged record\(s\) in \d+ chunk\(s\) will be sent again( in \d+ ms)?|the connect failed: connect ECONNRESET \S+; (another connection is opened when there are records to send|\d+ record\(s\) wait, and .*))$/,
  'not running':
    /: connection refused; is the receiver running, and listening there\?; (another connection is opened when there are records to send|\d+ record\(s\) wait, and the next try is in \d+ ms)$/,
  overdue: /: no ack within \d+ ms; \d+ unacknowledged record\(s\) in \d+ chunk\(s\) will be sent again( in \d+ ms)?$/,
  skipped:
    /: the server acknowledged a later chunk and not this one; 1 unacknowledged record\(s\) in 1 chunk\(s\) will be sent again( in \d+ ms)?$/,
  refused:
    /: a chunk of \d+ bytes \(\d+ record\(s\), tag "opentelemetry.logs"\) is not acknowledged although others are: receivers probably refuse it; compare chunk_size_limit \(Fluentd\) and buffer_max_size \(Fluent Bit\) with maxChunkBytes; trying on until the deadline$/,
  failed:
    /: 1 export\(s\) with 1 unacknowledged log record\(s\) failed in 0\.0 s, and no more since then; code: FLUENT_FORWARD_CHUNK_REFUSED$/,
  again: /^connected to tcp:\/\/\S+( \(127\.0\.0\.1:\d+\))? again after \d+\.\d s, \d+ records resent, 0 failed$/,
};

/** What a warning that was logged more than a minute before ends with. */
const REPEATED = / \(and \d+ like it since the last such message\)$/;

/**
 * The names in MESSAGES of what was logged about the receivers on these ports, without the first connection. A message
 * that has no name there is returned as it is.
 */
function messagesAbout(...ports: readonly number[]): Set<string> {
  const about = new RegExp(`\\b127\\.0\\.0\\.1:(${ports.join('|')})\\b`);
  const texts = log
    .filter(([level, text]) => level !== 'debug' && about.test(text) && !/connected to \S+( \(\S+\))?$/.test(text))
    .map(([, text]) => text.replace('opentelemetry-exporter-fluent-forward ', '').replace(REPEATED, ''));
  return new Set(texts.map((text) => Object.entries(MESSAGES).find(([, form]) => form.test(text))?.[0] ?? text));
}

test(
  'no record is lost if Fluentd is killed and restarted three times',
  CONCURRENT,
  async ({ annotate, onTestFinished }) => {
    const fluentd = await Fluentd.start({}, onTestFinished);
    const stream = new RecordStream({ endpoint: fluentd.endpoint });
    const interrupted: number[] = [];
    const recoveries: number[] = [];
    const killAndRestart = async (): Promise<void> => {
      interrupted.push(stream.recorder.pendingRecords);
      await fluentd.kill('SIGKILL');
      await fluentd.start();
      recoveries.push(await stream.recover());
    };
    // Twice at an arbitrary moment.
    await stream.flow();
    await killAndRestart();
    await stream.flow();
    await immediately();
    await killAndRestart();
    // Once while acks are certainly due: Fluentd is frozen, and every processor waits for an export.
    await stream.flow();
    fluentd.freeze();
    await stream.stall();
    await killAndRestart();
    await stream.flow();
    const duplicates = await conclude(stream, [fluentd]);

    expect(interrupted[2]).toBe(stream.maxPendingRecords);
    expect(duplicates).toBeLessThanOrEqual(interrupted.reduce((sum, records) => sum + records));
    expect(Math.max(...recoveries)).toBeLessThan(RECOVERY_LIMIT_MILLIS);
    expect(messagesAbout(fluentd.port)).toEqual(new Set(['lost', 'not running', 'again']));
    await annotate(
      `recovered in ${recoveries} ms; of ${stream.emitted} records ${interrupted} unanswered at the kills, ${duplicates} duplicates`,
    );
  },
);

test(
  'no record is lost if Fluentd is stopped and restarted twice',
  CONCURRENT,
  async ({ annotate, onTestFinished }) => {
    const fluentd = await Fluentd.start({}, onTestFinished);
    const stream = new RecordStream({ endpoint: fluentd.endpoint });
    const recoveries: number[] = [];
    for (let i = 0; i < 2; i++) {
      await stream.flow();
      await fluentd.kill('SIGTERM');
      await fluentd.start();
      recoveries.push(await stream.recover());
    }
    await stream.flow();
    const duplicates = await conclude(stream, [fluentd]);

    // While it stops it still takes chunks; the acks of the last ones are lost with the connection.
    expect(duplicates).toBeLessThanOrEqual(2 * stream.maxPendingRecords);
    // Records that come after its last flush stay in its buffer's files.
    expect(fluentd.complaints.filter((line) => !line.includes('restoring buffer file'))).toEqual([]);
    expect(Math.max(...recoveries)).toBeLessThan(RECOVERY_LIMIT_MILLIS);
    // It may stop between two exports.
    expect(messagesAbout(fluentd.port).add('lost')).toEqual(new Set(['lost', 'not running', 'again']));
    await annotate(`recovered in ${recoveries} ms; ${stream.emitted} records, ${duplicates} duplicates`);
  },
);

test(
  'late acks count if Fluentd was frozen and no other receiver is reachable',
  CONCURRENT,
  async ({ annotate, onTestFinished }) => {
    const fluentd = await Fluentd.start({}, onTestFinished);
    let port = fluentd.port;
    const resolver = async () => [{ address: '127.0.0.1', port }];
    const stream = new RecordStream({ endpoint: 'tcp://fluent', resolver });
    await stream.flow();
    fluentd.freeze();
    port = DEAD_PORT;
    await stream.stall();
    await stream.hurryUntil(() => messagesAbout(DEAD_PORT).has('not running'));
    fluentd.thaw();
    const recovery = await stream.recover();
    port = fluentd.port;
    await stream.flow();
    const duplicates = await conclude(stream, [fluentd]);

    expect(duplicates).toBe(0);
    expect(recovery).toBeLessThan(RECOVERY_LIMIT_MILLIS);
    expect(messagesAbout(fluentd.port)).toEqual(new Set(['overdue', 'again']));
    expect(fluentd.complaints).toEqual([]);
    await annotate(`recovered in ${recovery} ms; ${stream.emitted} records, ${duplicates} duplicates`);
  },
);

test(
  'no record is lost if the exporter resends to a Fluentd that is still frozen',
  CONCURRENT,
  async ({ annotate, onTestFinished }) => {
    const fluentd = await Fluentd.start({}, onTestFinished);
    const stream = new RecordStream({ endpoint: fluentd.endpoint });
    await stream.flow();
    const { connections } = fluentd;
    fluentd.freeze();
    await stream.stall();
    await stream.hurryUntil(() => openSockets(fluentd.port) >= connections + 3);
    fluentd.thaw();
    const recovery = await stream.recover();
    await stream.flow();
    const duplicates = await conclude(stream, [fluentd]);

    // A chunk on each new connection, and what waits when the first of them is acknowledged, before the late acks are read.
    const tried = fluentd.connections - connections;
    expect(duplicates).toBeGreaterThan(0);
    expect(duplicates).toBeLessThanOrEqual(tried * RecordStream.BATCH + stream.maxPendingRecords);
    expect(recovery).toBeLessThan(RECOVERY_LIMIT_MILLIS);
    expect(messagesAbout(fluentd.port)).toEqual(new Set(['overdue', 'again']));
    expect(fluentd.complaints).toEqual([]);
    await annotate(`recovered in ${recovery} ms; ${stream.emitted} records, ${duplicates} duplicates`);
  },
);

test(
  'the load leaves the one of two Fluentds that is frozen and returns after the thaw',
  CONCURRENT,
  async ({ annotate, onTestFinished }) => {
    const [frozen, other] = await Promise.all([Fluentd.start({}, onTestFinished), Fluentd.start({}, onTestFinished)]);
    const stream = new RecordStream({
      endpoint: 'tcp://fluent',
      resolver: async () => [frozen, other].map(({ port }) => ({ address: '127.0.0.1', port })),
      connections: 2,
      rotationIntervalMillis: 1_000,
      // The other Fluentd has to acknowledge within it.
      ackTimeoutMillis: 5_000,
    });
    await frozen.until(() => frozen.acks.length > 10 && other.acks.length > 10);
    const { connections } = frozen;
    frozen.freeze();
    await until(() => messagesAbout(frozen.port).has('overdue'));
    // Only the other one acknowledges.
    for (let i = 0; i < 3; i++) await stream.flow();
    frozen.thaw();
    const thawedAt = performance.now();
    const isDialledAgain = () =>
      stream.exporter
        .stats()
        .connections.some(
          ({ address, state, ageMillis }) =>
            address === `127.0.0.1:${frozen.port}` && state === 'open' && ageMillis < performance.now() - thawedAt,
        );
    await until(isDialledAgain);
    const acks = frozen.acks.length;
    await frozen.until(() => frozen.acks.length > acks + 10);
    const recovery = Math.round(performance.now() - thawedAt);
    await stream.flow();
    const duplicates = await conclude(stream, [frozen, other], 2);

    // What it had when it froze, and a chunk on each connection that was tried since.
    const tried = frozen.connections - connections;
    expect(duplicates).toBeGreaterThan(0);
    expect(duplicates).toBeLessThanOrEqual(stream.maxPendingRecords + tried * RecordStream.BATCH);
    expect(recovery).toBeLessThan(RECOVERY_LIMIT_MILLIS);
    expect(messagesAbout(frozen.port, other.port)).toEqual(new Set(['overdue', 'again']));
    expect([...frozen.complaints, ...other.complaints]).toEqual([]);
    await annotate(`came back in ${recovery} ms; ${stream.emitted} records, ${duplicates} duplicates`);
  },
);

test(
  'no record is lost while the full buffer of Fluentd blocks with overflow_action block',
  CONCURRENT,
  async ({ annotate, onTestFinished }) => {
    const fluentd = await Fluentd.start({ buffer: smallBuffer('block') }, onTestFinished);
    fluentd.jam();
    const stream = new RecordStream({ endpoint: fluentd.endpoint });
    await fluentd.until(() => overflows(fluentd) === 1);
    const { connections } = fluentd;
    await stream.hurryUntil(() => openSockets(fluentd.port) >= connections + 2);
    fluentd.unjam();
    const recovery = await stream.recover();
    await stream.flow();
    const duplicates = await conclude(stream, [fluentd]);

    // As after a freeze: Fluentd reads nothing meanwhile, and then takes all that was sent.
    const tried = fluentd.connections - connections;
    expect(duplicates).toBeLessThanOrEqual(tried * RecordStream.BATCH + stream.maxPendingRecords);
    expect(recovery).toBeLessThan(RECOVERY_LIMIT_MILLIS);
    expect(messagesAbout(fluentd.port)).toEqual(new Set(['overdue', 'again']));
    await annotate(`recovered in ${recovery} ms; ${stream.emitted} records, ${duplicates} duplicates`);
  },
);

test(
  'the exporter resends until Fluentd has room again with overflow_action throw_exception',
  CONCURRENT,
  async ({ annotate, onTestFinished }) => {
    const fluentd = await Fluentd.start({ buffer: smallBuffer('throw_exception') }, onTestFinished);
    fluentd.jam();
    // One chunk at a time, so that all resets are its.
    const stream = new RecordStream({ endpoint: fluentd.endpoint }, 1);
    await fluentd.until(() => overflows(fluentd) >= 5);
    fluentd.unjam();
    const recovery = await stream.recover();
    await stream.flow();
    const resets = overflows(fluentd);
    const duplicates = await conclude(stream, [fluentd]);

    expect(duplicates).toBe(0);
    expect(recovery).toBeLessThan(RECOVERY_LIMIT_MILLIS);
    expect(messagesAbout(fluentd.port)).toEqual(new Set(['lost', 'again']));
    await annotate(
      `recovered in ${recovery} ms; ${stream.emitted} records, ${resets} resets, ${duplicates} duplicates`,
    );
  },
);

test(
  'a chunk above chunk_size_limit fails at its deadline and does not hold up small chunks',
  CONCURRENT,
  async ({ annotate, onTestFinished }) => {
    // Fluentd counts what it reads at once, up to 16 KiB, as the first chunk's: small ones stay below this limit all the same.
    const fluentd = await Fluentd.start({ source: 'chunk_size_limit 64k' }, onTestFinished);
    const timeoutMillis = 25_000;
    const ackTimeoutMillis = 5_000;
    const stream = new RecordStream({ endpoint: fluentd.endpoint, timeoutMillis, ackTimeoutMillis });
    await stream.flow();
    const startedAt = performance.now();
    const { code, error } = await exportBodies(stream.exporter, 'x'.repeat(200_000));
    const took = Math.round(performance.now() - startedAt);
    await stream.flow();
    const duplicates = await conclude(stream, [fluentd]);

    expect(code).toBe(1);
    expect(error).toMatchObject({
      code: 'FLUENT_FORWARD_CHUNK_REFUSED',
      records: 1,
      acknowledgedRecords: 0,
      message: expect.stringMatching(
        /: a chunk of 200\d{3} bytes \(1 record\(s\), tag "opentelemetry\.logs"\) is not acknowledged although others are: .* chunk_size_limit /,
      ),
      cause: { code: expect.stringMatching(/^FLUENT_FORWARD_ACK_(SKIPPED|TIMEOUT)$/) },
    });
    expect(took).toBeGreaterThanOrEqual(timeoutMillis);
    expect(took).toBeLessThan(2 * timeoutMillis);
    // The worst for a small one is to wait for the ack timeout of a large one before it, and not for its deadline.
    expect(stream.recorder.slowestMillis).toBeLessThan(timeoutMillis - ackTimeoutMillis);
    expect(duplicates).toBe(0);
    const tries = fluentd.complaints.filter((line) => line.includes("larger than 'chunk_size_limit', dropped"));
    expect(tries.length).toBeGreaterThan(3);
    expect(fluentd.complaints).toEqual(tries);
    // At the first try small ones follow it; later it may be alone.
    expect(messagesAbout(fluentd.port).add('overdue')).toEqual(
      new Set(['skipped', 'overdue', 'refused', 'failed', 'again']),
    );
    const slowest = Math.round(stream.recorder.slowestMillis);
    await annotate(
      `refused after ${took} ms and ${tries.length} tries; ${stream.emitted} small records, at most ${slowest} ms each`,
    );
  },
);

test(
  'the exporter delivers each record once to a Fluentd that closes after each ack (deny_keepalive)',
  CONCURRENT,
  async ({ annotate, onTestFinished }) => {
    const fluentd = await Fluentd.start({ source: 'deny_keepalive true' }, onTestFinished);
    const stream = new RecordStream({ endpoint: fluentd.endpoint });
    for (let i = 0; i < 5; i++) await stream.flow();
    const { resent } = stream.exporter.stats();
    const duplicates = await conclude(stream, [fluentd]);

    expect(duplicates).toBe(0);
    expect(messagesAbout(fluentd.port).add('lost').add('again')).toEqual(new Set(['lost', 'again']));
    await annotate(
      `${stream.emitted} records on ${fluentd.connections} connections, ${resent.records} resent, ${duplicates} duplicates`,
    );
  },
);

test(
  'rotation spreads connections over the two workers of a Fluentd',
  CONCURRENT,
  async ({ annotate, onTestFinished }) => {
    const fluentd = await Fluentd.start({ workers: 2 }, onTestFinished);
    const stream = new RecordStream({ endpoint: fluentd.endpoint, rotationIntervalMillis: 200 });
    await fluentd.until(() => fluentd.connectionsByWorker.every((connections) => connections >= 5));
    const duplicates = await conclude(stream, [fluentd]);

    expect(duplicates).toBe(0);
    expect(messagesAbout(fluentd.port)).toEqual(new Set());
    expect(fluentd.complaints).toEqual([]);
    await annotate(`${stream.emitted} records; connections by worker: ${fluentd.connectionsByWorker}`);
  },
);

test(
  'the other worker of a Fluentd takes over if one of two is killed',
  CONCURRENT,
  async ({ annotate, onTestFinished }) => {
    const fluentd = await Fluentd.start({ workers: 2 }, onTestFinished);
    const stream = new RecordStream({ endpoint: fluentd.endpoint, connections: 4, rotationIntervalMillis: 200 });
    const acceptedBy = (worker: number) => fluentd.connectionsByWorker[worker] as number;
    await fluentd.until(() => acceptedBy(0) > 0 && acceptedBy(1) > 0);
    await stream.flow();
    const accepted = acceptedBy(0);
    const interrupted = stream.recorder.pendingRecords;
    fluentd.killWorker(0);
    const recovery = await stream.recover();
    await fluentd.until(() => fluentd.runs === 3 && acceptedBy(0) > accepted);
    await stream.flow();
    const duplicates = await conclude(stream, [fluentd], 4);

    expect(duplicates).toBeLessThanOrEqual(interrupted);
    expect(recovery).toBeLessThan(RECOVERY_LIMIT_MILLIS);
    // No ack may have been outstanding on that worker.
    expect(messagesAbout(fluentd.port).add('lost').add('again')).toEqual(new Set(['lost', 'again']));
    await annotate(
      `recovered in ${recovery} ms; of ${stream.emitted} records ${interrupted} unanswered at the kill, ${duplicates} duplicates`,
    );
  },
);

/** Ends the stream, and checks what holds after every fault. Returns the number of duplicates. */
async function conclude(stream: RecordStream, fluentds: readonly Fluentd[], connections: number = 1): Promise<number> {
  const ports = fluentds.map(({ port }) => port);
  const noMoreThan = (count: number) => () => expect(openSockets(...ports)).toBeLessThanOrEqual(count);
  await vi.waitFor(noMoreThan(connections), RECOVERY_LIMIT_MILLIS);
  await stream.end();
  await vi.waitFor(noMoreThan(0), RECOVERY_LIMIT_MILLIS);
  expect(stream.recorder.failures).toEqual([]);
  expect(stream.recorder.acknowledged).toHaveLength(stream.emitted);
  const { lost, duplicates } = await stream.compare(...fluentds);
  expect(lost).toEqual([]);
  expect(duplicates).toBeLessThanOrEqual(stream.exporter.stats().resent.records);
  return duplicates;
}

/** A buffer that soon overflows, and is written out and tried again at once when it can be. */
function smallBuffer(overflowAction: string): string {
  return `
    flush_mode interval
    flush_interval 0.1
    flush_thread_interval 0.1
    flush_thread_burst_interval 0.1
    flush_at_shutdown true
    chunk_limit_size 32k
    total_limit_size 256k
    retry_type periodic
    retry_wait 0.1
    retry_forever true
    overflow_action ${overflowAction}`;
}

function overflows(fluentd: Fluentd): number {
  return fluentd.complaints.filter((line) => line.includes('failed to write data into buffer by buffer overflow'))
    .length;
}
