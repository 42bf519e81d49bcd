import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encode } from '@msgpack/msgpack';
import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  FluentForwardLogExporter,
  type FluentForwardLogExporterOptions,
  type FluentForwardStats,
} from '../../src/index.ts';
import { ForwardReceiver } from '../../src/testing/index.ts';
import { Authority } from '../support/certificates.ts';
import { until } from '../support/fake-clock.ts';
import { logRecord, type Result } from '../support/harness.ts';
import { LONG_LIMITS } from '../support/long-limits.ts';
import type { Started } from '../support/run-program.ts';
import { type CliOptions, runCli, startCli, startOnTerminal } from './run-cli.ts';

let directory: string;
let authority: Authority;
/** The processes to end after all tests: a test that fails may leave one running. */
const children: ChildProcess[] = [];

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'sink-'));
  authority = await Authority.create();
  const { cert, key } = await authority.issue();
  writeFileSync(join(directory, 'server.pem'), cert);
  writeFileSync(join(directory, 'server.key'), key);
});
afterAll(() => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(directory, { recursive: true });
});

interface Sink extends Started {
  readonly endpoint: string;
  stderr(): string;
  stdout(): string;
  /** Stops it, and returns what it has written. */
  stop(signal?: NodeJS.Signals): Promise<{ code: number | null; lines: string[]; stderr: string }>;
}

/** Starts `sink` on any free port, and waits until it listens. */
async function start(args: readonly string[] = [], options?: CliOptions): Promise<Sink> {
  const started = startCli(['sink', '--port', '0', ...args], options);
  const { child, finished } = started;
  children.push(child);
  const written = { stdout: '', stderr: '' };
  child.stdout?.on('data', (text) => {
    written.stdout += text;
  });
  child.stderr?.on('data', (text) => {
    written.stderr += text;
  });
  const endpoint = () => /(?:tcp|tls):\/\/[\d.:]+(?=["\n])/.exec(written.stderr)?.[0];
  await until(() => endpoint() !== undefined);
  return {
    ...started,
    endpoint: endpoint() as string,
    stderr: () => written.stderr,
    stdout: () => written.stdout,
    stop: async (signal = 'SIGTERM') => {
      child.kill(signal);
      const { code, stdout, stderr } = await finished;
      return { code, lines: stdout.split('\n').slice(0, -1), stderr };
    },
  };
}

/** The notices in the complete lines of standard error with `--json`. */
function noticesIn(stderr: string) {
  return stderr
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line));
}

const RECORD = {
  ...logRecord('payment declined', { 'order.id': 4711, items: ['a', 'b'], 'user.name': 'Ann B', route: '/pay' }),
  severityText: 'WARN',
  severityNumber: 13,
} as ReadableLogRecord;

/** Exports records in one batch, and returns the result. */
async function send(options: FluentForwardLogExporterOptions, ...records: ReadableLogRecord[]): Promise<Result> {
  const exporter = new FluentForwardLogExporter({ rotationIntervalMillis: 0, ...LONG_LIMITS, ...options });
  const result = await exportTo(exporter, records);
  await exporter.shutdown();
  return result;
}

/** Exports a record, gives up once `condition` holds, and returns the result. */
async function sendUntil(
  condition: (stats: FluentForwardStats) => boolean,
  options: FluentForwardLogExporterOptions,
): Promise<Result> {
  const exporter = new FluentForwardLogExporter({ ...LONG_LIMITS, flushTimeoutMillis: 1, ...options });
  const result = exportTo(exporter, [RECORD]);
  await until(() => condition(exporter.stats()));
  await exporter.shutdown();
  return result;
}

function exportTo(exporter: FluentForwardLogExporter, records: ReadableLogRecord[]): Promise<Result> {
  return new Promise((resolve) => exporter.export(records, (result) => resolve(result as Result)));
}

describe('the output of sink', () => {
  test.concurrent.each(['default', 'flat', 'otlp'] as const)(
    'sink prints a record as one readable line, whatever its layout: %s',
    async (layout) => {
      const { endpoint, stop } = await start();
      expect((await send({ endpoint, layout }, RECORD)).code).toBe(0);
      const { code, lines, stderr } = await stop();
      expect(code).toBe(0);
      expect(lines).toEqual([
        '2023-11-14T22:13:20.123Z WARN  opentelemetry.logs payment declined order.id=4711 items=["a","b"] user.name="Ann B" route=/pay',
      ]);
      expect(stderr).toBe(`listening on ${endpoint}\nreceived 1 records in 1 messages over 1 connections\n`);
    },
  );

  test.concurrent('sink --json prints each record as a line of JSON that holds all of the record', async () => {
    const { endpoint, stop } = await start(['--json']);
    const receiver = await ForwardReceiver.listen();
    for (const layout of ['default', 'otlp'] as const) {
      for (const to of [endpoint, receiver.endpoint])
        await send({ endpoint: to, layout }, RECORD, logRecord(2n ** 63n));
    }
    const { lines, stderr } = await stop();
    const expected = receiver.entries.map(({ tag, metadata, record }) =>
      JSON.parse(stringify({ tag, metadata, record })),
    );
    const got = lines.map((line) => JSON.parse(line));
    await receiver.close();
    expect(got.map(({ time, ...entry }) => entry)).toEqual(expected);
    expect(got[0].time).toBe('2023-11-14T22:13:20.123456789Z');
    // The counts of seconds may be among them.
    expect(noticesIn(stderr).filter(({ event }) => event !== 'count')).toEqual([
      { event: 'listening', endpoint },
      { event: 'end', records: 4, messages: 2, connections: 2 },
    ]);
  });

  test.concurrent('sink --json reports the count of each second in which records arrive', async () => {
    const { endpoint, stderr, stop } = await start(['--json']);
    const notices = () => noticesIn(stderr());
    await send({ endpoint }, RECORD, RECORD, RECORD);
    await until(() => notices().length === 2);
    expect(notices()[1]).toEqual({ event: 'count', records: 3, messages: 1, perSecond: 3 });
    await stop();
    expect(notices()[2]).toMatchObject({ event: 'end', records: 3 });
  });

  test.concurrent('sink colours the severity of a record when FORCE_COLOR is set', async () => {
    const { endpoint, finished, stop, wrote } = await start([], { env: { FORCE_COLOR: '1' } });
    await send({ endpoint }, RECORD);
    await wrote('payment declined');
    expect((await stop('SIGINT')).code).toBe(0);
    expect((await finished).stdout).toContain('\x1b[33mWARN \x1b[39m');
  });

  test.concurrent.each<[format: string, args: string[]]>([
    ['text', []],
    ['JSON', ['--json']],
  ])('sink prints no control characters of a record or its tag as %s', async (_, args) => {
    const { endpoint, stop } = await start(args);
    const evil = '\x1b[2J\u009b1m\u202e\n2099-01-01 forged';
    await send({ endpoint, tag: () => 'x' }, {
      ...logRecord(evil, { [evil]: evil }),
      severityText: evil,
    } as ReadableLogRecord);
    // The exporter would not send this tag, nor a time that is out of range.
    await sendRaw(endpoint, encode([evil, 1e300, { message: evil }, { chunk: 'a' }]));
    const { lines } = await stop();
    expect(lines).toHaveLength(2);
    for (const line of lines) expect(line).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u);
    expect(lines.join()).toContain('forged');
  });

  test.concurrent('sink prints keys such as __proto__ like any other, as JSON and in a line to read', async () => {
    const body = JSON.parse('{"__proto__":{"x":1},"constructor":2,"prototype":3,"":4}');
    const json = await start(['--json']);
    expect((await send({ endpoint: json.endpoint }, logRecord(body))).code).toBe(0);
    const [line] = (await json.stop()).lines;
    expect(line).toContain('"body":{"__proto__":{"x":1},"constructor":2,"prototype":3,"":4}');
    const text = await start();
    await sendRaw(text.endpoint, encode(['app', 1_700_000_000, { message: 'hi', ...body }, { chunk: 'a' }]));
    expect((await text.stop()).lines).toEqual([
      '2023-11-14T22:13:20.000Z       app hi __proto__={"x":1} constructor=2 prototype=3 =4',
    ]);
  });

  test.concurrent('sink prints the entries of other Forward clients as they are', async () => {
    const { endpoint, stop } = await start();
    await sendRaw(
      endpoint,
      encode(['app.nginx', 1_700_000_000, { log: 'GET /', code: 200, bin: Buffer.from('hi') }, { chunk: 'a' }]),
    );
    await sendRaw(endpoint, encode(['app.odd', 1_700_000_000, 'no map', { chunk: 'b' }]));
    expect((await stop()).lines).toEqual([
      '2023-11-14T22:13:20.000Z       app.nginx GET / code=200 bin="aGk="',
      '2023-11-14T22:13:20.000Z       app.odd no map',
    ]);
  });
});

function stringify(value: unknown): string {
  return JSON.stringify(value, function (this: Record<string, unknown>, key, each) {
    if (this[key] instanceof Uint8Array) return Buffer.from(this[key]).toString('base64');
    return typeof each === 'bigint' ? String(each) : each;
  });
}

/** Sends bytes, and waits for an answer or the end of the connection. */
async function sendRaw(endpoint: string, bytes: Uint8Array): Promise<void> {
  const socket = connect(Number(new URL(endpoint).port), '127.0.0.1');
  socket.on('error', () => {});
  socket.write(bytes);
  await new Promise((resolve) => socket.once('data', resolve).once('close', resolve));
  socket.destroy();
}

describe('the receiver of sink', () => {
  test.concurrent('sink accepts only clients with its shared key when it listens with TLS and a key', async () => {
    const tls = ['--tls-cert', join(directory, 'server.pem'), '--tls-key', join(directory, 'server.key')];
    const { endpoint, stop } = await start([...tls, '--shared-key', 'the key']);
    expect(endpoint).toMatch(/^tls:/);
    const ca = authority.cert;
    expect((await send({ endpoint, sharedKey: 'the key', tls: { ca } }, RECORD)).code).toBe(0);
    const wrong = await sendUntil(({ lastError }) => lastError !== undefined, {
      endpoint,
      sharedKey: 'another',
      tls: { ca },
    });
    expect(wrong.error?.cause).toMatchObject({ code: 'FLUENT_FORWARD_AUTH_FAILED' });
    const { lines, stderr } = await stop();
    expect(lines).toHaveLength(1);
    expect(stderr).toMatch(/^refused the client of connection 1: shared_key mismatch$/m);
  });

  test.concurrent('sink applies the faults of its list in turn, and again from the first', async () => {
    const { endpoint, stop } = await start(['--faults', 'reset, none']);
    for (let i = 0; i < 3; i++) expect((await send({ endpoint }, logRecord(`record ${i}`))).code).toBe(0);
    const { lines } = await stop();
    expect(lines.map((line) => /record \d/.exec(line)?.[0])).toEqual([0, 0, 1, 1, 2, 2].map((i) => `record ${i}`));
  });

  test.concurrent.each([
    ['withhold', ['FLUENT_FORWARD_ACK_TIMEOUT']],
    ['delay:60000', ['FLUENT_FORWARD_ACK_TIMEOUT']],
    ['misaddress', ['FLUENT_FORWARD_ACK_TIMEOUT']],
    // The ack is late and the answer is incomplete at the same time.
    ['truncate', ['FLUENT_FORWARD_ACK_TIMEOUT', 'FLUENT_FORWARD_BAD_ANSWER']],
    ['drip:1000', ['FLUENT_FORWARD_ACK_TIMEOUT', 'FLUENT_FORWARD_BAD_ANSWER']],
    ['refuse', ['FLUENT_FORWARD_NOT_ACCEPTED']],
    ['close', ['FLUENT_FORWARD_CONNECTION_LOST']],
    ['reset', ['FLUENT_FORWARD_CONNECTION_LOST']],
    ['garbage', ['FLUENT_FORWARD_BAD_ANSWER']],
    ['repeat:3', []],
    ['close-after-ack', []],
    ['reset-after-ack', []],
    ['delay:1', []],
  ])('sink answers each message with the fault that it is given: %s', async (fault, codes) => {
    const { endpoint, stop } = await start(['--faults', fault]);
    if (codes.length === 0) {
      expect((await send({ endpoint }, RECORD)).code).toBe(0);
    } else {
      // The ack timeout is short only where no whole ack comes.
      const limits = codes.includes('FLUENT_FORWARD_ACK_TIMEOUT') ? { ackTimeoutMillis: 300 } : {};
      const { code, error } = await sendUntil(({ resent }) => resent.records >= 2, { endpoint, ...limits });
      expect(code).toBe(1);
      expect(codes).toContain((error?.cause as { code?: string } | undefined)?.code);
    }
    await stop();
  });

  test.concurrent('sink reports input that is no Forward message, and goes on receiving', async () => {
    const { endpoint, stderr, stop } = await start();
    await sendRaw(endpoint, Buffer.from('GET / HTTP/1.1\r\n\r\n'));
    await until(() => stderr().includes('got what is no Forward message: '));
    expect((await send({ endpoint }, RECORD)).code).toBe(0);
    await stop();
  });

  test.concurrent.each(['SIGINT', 'SIGTERM'] as const)(
    'sink ends with exit code 0 on a signal while a client is connected: %s',
    async (signal) => {
      const { endpoint, stdout, stop } = await start();
      const exporter = new FluentForwardLogExporter({ endpoint, ...LONG_LIMITS });
      await exportTo(exporter, [RECORD, RECORD]);
      await until(() => stdout().split('\n').length === 3);
      const { code, stderr } = await stop(signal);
      expect(code).toBe(0);
      expect(stderr).toContain('received 2 records in 1 messages over 1 connections\n');
      await exporter.shutdown();
    },
  );

  test.concurrent('sink ends with exit code 0 when the signal comes again, as it does with npx', async () => {
    const { child, finished } = await start();
    const again = setInterval(() => child.kill('SIGINT'), 1);
    const { code, stderr } = await finished.finally(() => clearInterval(again));
    expect(code).toBe(0);
    expect(stderr).toContain('received 0 records');
  });

  test.concurrent('sink says that its port is in use, and ends with exit code 1', async () => {
    const receiver = await ForwardReceiver.listen();
    const { port } = receiver;
    const { code, stdout, stderr } = await runCli(['sink', '--port', String(port)]);
    await receiver.close();
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toBe(
      `fluent-forward: cannot listen on 127.0.0.1, port ${port}: the port is in use; another receiver listens there, or give another --port\n`,
    );
  });

  test.concurrent('sink --json reports a failure to listen as JSON on standard error', async () => {
    const receiver = await ForwardReceiver.listen();
    const { code, stdout, stderr } = await runCli(['sink', '--json', '--port', String(receiver.port)]);
    await receiver.close();
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    const message = expect.stringMatching(/^cannot listen on 127\.0\.0\.1, port \d+: the port is in use/);
    expect(JSON.parse(stderr)).toEqual({ event: 'error', message });
  });

  test.concurrent('sink ends with exit code 1 when the reader of its output is gone', async () => {
    const { child, endpoint, finished, wrote } = await start(['--json']);
    await send({ endpoint }, RECORD);
    await wrote('payment declined');
    child.stdout?.destroy();
    const exporter = new FluentForwardLogExporter({ endpoint, ...LONG_LIMITS, flushTimeoutMillis: 1 });
    exporter.export([RECORD], () => {});
    expect((await finished).code).toBe(1);
    await exporter.shutdown();
  });

  test.concurrent('sink counts records and messages on a terminal, and prints records above the count', async () => {
    const { child, screen, type, finished } = startOnTerminal(['sink', '--port', '0']);
    children.push(child);
    const listening = () => /listening on (tcp:[\d./:]+)\r\n/.exec(screen())?.[1];
    await until(() => listening() !== undefined);
    const endpoint = listening() as string;
    await until(() => screen().includes('\r\x1b[K0 records in 0 messages, 0 per second'));
    await send({ endpoint }, RECORD, RECORD, RECORD);
    await until(() => screen().includes('\r\x1b[K3 records in 1 messages, 3 per second'));
    // A record replaces the line with the count.
    expect(screen().replaceAll('\x1b[2m', '')).toContain('per second\r\x1b[K2023-11-14T22:13:20.123Z');
    // Ctrl-C.
    type('\x03');
    expect(await finished).toBe(0);
    expect(screen()).toContain('received 3 records in 1 messages over 1 connections');
  });
});

describe('the arguments of sink', () => {
  test.concurrent('sink --help lists its options', async () => {
    const { code, stdout, stderr } = await runCli(['sink', '--help']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    for (const option of ['host', 'port', 'tls-cert', 'tls-key', 'shared-key', 'faults', 'json', 'help']) {
      expect(stdout).toContain(`  --${option} `);
    }
  });

  test.concurrent.each<[args: string[], message: string]>([
    [['--port', '65536'], "--port is a number from 0 to 65535, not '65536'"],
    [['--port', 'http'], "not 'http'"],
    [['--port', ''], "not ''"],
    [['--faults', 'explode'], "'explode' is no fault"],
    [['--faults', 'delay'], "'delay' is no fault; it needs a number"],
    [['--faults', 'reset:1'], "'reset:1' is no fault; 'reset' takes no number"],
    [['--faults', ''], "'' is no fault"],
    [['--tls-cert', 'x.pem'], '--tls-cert and --tls-key belong together'],
    [['--tls-cert', 'x.pem', '--tls-key', 'x.key'], "ENOENT: no such file or directory, open 'x.pem'"],
    [['--colour'], "Unknown option '--colour'"],
  ])('sink rejects wrong arguments with exit code 2 and its usage: %j', async (args, message) => {
    const { code, stdout, stderr } = await runCli(['sink', ...args]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(message);
    expect(stderr).toContain('Usage: fluent-forward sink');
  });

  test.concurrent.each([
    ['sink', '--json', '--port', 'http'],
    ['doctor', '--endpoint', 'http://fluent', '--json'],
  ])('a command with --json reports wrong arguments as JSON on standard error: %s', async (...args) => {
    const { code, stdout, stderr } = await runCli(args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(JSON.parse(stderr)).toEqual({ event: 'error', message: expect.stringContaining('http') });
  });
});
