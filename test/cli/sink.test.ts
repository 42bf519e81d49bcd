import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encode } from '@msgpack/msgpack';
import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FluentForwardLogExporter, type FluentForwardLogExporterOptions } from '../../src/index.ts';
import { ForwardReceiver } from '../../src/testing/index.ts';
import { Authority } from '../support/certificates.ts';
import { until } from '../support/fake-clock.ts';
import { logRecord, type Result } from '../support/harness.ts';
import { runCli, startCli, startOnTerminal } from './run-cli.ts';

let directory: string;
let authority: Authority;
/** What a test that fails may leave behind. */
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

interface Sink {
  readonly endpoint: string;
  stderr(): string;
  stdout(): string;
  /** Stops it, and gives what it has written. */
  stop(signal?: NodeJS.Signals): Promise<{ code: number | null; lines: string[]; stderr: string }>;
}

/** Starts `sink` on any free port. */
async function start(...args: readonly string[]): Promise<Sink> {
  const { child, finished } = startCli(['sink', '--port', '0', ...args]);
  children.push(child);
  const written = { stdout: '', stderr: '' };
  child.stdout?.on('data', (text) => {
    written.stdout += text;
  });
  child.stderr?.on('data', (text) => {
    written.stderr += text;
  });
  const endpoint = () => /(?:tcp|tls):\/\/[\d.:]+/.exec(written.stderr)?.[0];
  await until(() => endpoint() !== undefined);
  return {
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

/** What stands in the whole lines of standard error with `--json`. */
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

/** Exports records in one batch, and gives the result. */
async function send(options: FluentForwardLogExporterOptions, ...records: ReadableLogRecord[]): Promise<Result> {
  const exporter = new FluentForwardLogExporter({ rotationIntervalMillis: 0, ...options });
  const result = await new Promise<Result>((resolve) => exporter.export(records, (given) => resolve(given as Result)));
  await exporter.shutdown();
  return result;
}

describe('a record', () => {
  test.concurrent.each(['default', 'flat', 'otlp'] as const)('of the layout %s is a line to read', async (layout) => {
    const { endpoint, stop } = await start();
    expect((await send({ endpoint, layout }, RECORD)).code).toBe(0);
    const { code, lines, stderr } = await stop();
    expect(code).toBe(0);
    expect(lines).toEqual([
      '2023-11-14T22:13:20.123Z WARN  opentelemetry.logs payment declined order.id=4711 items=["a","b"] user.name="Ann B" route=/pay',
    ]);
    expect(stderr).toBe(`listening on ${endpoint}\nreceived 1 records in 1 messages over 1 connections\n`);
  });

  test.concurrent('is a line of JSON, which holds all of it', async () => {
    const { endpoint, stop } = await start('--json');
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
    // A count of each second may be among them.
    expect(noticesIn(stderr).filter(({ event }) => event !== 'count')).toEqual([
      { event: 'listening', endpoint },
      { event: 'end', records: 4, messages: 2, connections: 2 },
    ]);
  });

  test.concurrent('is counted as JSON in each second that has some', async () => {
    const { endpoint, stderr, stop } = await start('--json');
    const notices = () => noticesIn(stderr());
    await send({ endpoint }, RECORD, RECORD, RECORD);
    await until(() => notices().length === 2);
    expect(notices()[1]).toEqual({ event: 'count', records: 3, messages: 1, perSecond: 3 });
    await stop();
    expect(notices()[2]).toMatchObject({ event: 'end', records: 3 });
  });

  test.concurrent('has colours where they are forced', async () => {
    const { child, finished, wrote } = startCli(['sink', '--port', '0'], { env: { FORCE_COLOR: '1' } });
    let stderr = '';
    child.stderr?.on('data', (text) => {
      stderr += text;
    });
    await until(() => stderr.includes('listening'));
    const endpoint = /tcp:\S+/.exec(stderr)?.[0] as string;
    await send({ endpoint }, RECORD);
    await wrote('payment declined');
    child.kill('SIGINT');
    const { code, stdout } = await finished;
    expect(code).toBe(0);
    expect(stdout).toContain('\x1b[33mWARN \x1b[39m');
  });

  test.concurrent.each([[], ['--json']])('cannot command the terminal %s', async (...args) => {
    const { endpoint, stop } = await start(...args);
    const evil = '\x1b[2J\u009b1m\u202e\n2099-01-01 forged';
    await send({ endpoint, tag: () => 'x' }, {
      ...logRecord(evil, { [evil]: evil }),
      severityText: evil,
    } as ReadableLogRecord);
    // What the exporter would not let through: a tag, and a time that is none.
    await sendRaw(endpoint, encode([evil, 1e300, { message: evil }, { chunk: 'a' }]));
    const { lines } = await stop();
    expect(lines).toHaveLength(2);
    for (const line of lines) expect(line).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u);
    expect(lines.join()).toContain('forged');
  });

  test.concurrent('of any other client is shown as it is', async () => {
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

/** Sends bytes, and waits for the answer. */
async function sendRaw(endpoint: string, bytes: Uint8Array): Promise<void> {
  const socket = connect(Number(new URL(endpoint).port), '127.0.0.1');
  socket.on('error', () => {});
  socket.write(bytes);
  await new Promise((resolve) => socket.once('data', resolve).once('close', resolve));
  socket.destroy();
}

describe('the receiver', () => {
  test.concurrent('is locked down by TLS and a shared key', async () => {
    const tls = ['--tls-cert', join(directory, 'server.pem'), '--tls-key', join(directory, 'server.key')];
    const { endpoint, stop } = await start(...tls, '--shared-key', 'the key');
    expect(endpoint).toMatch(/^tls:/);
    const ca = authority.cert;
    expect((await send({ endpoint, sharedKey: 'the key', tls: { ca } }, RECORD)).code).toBe(0);
    const wrong = await send(
      { endpoint, sharedKey: 'another', tls: { ca }, timeoutMillis: 500, ackTimeoutMillis: 400 },
      RECORD,
    );
    expect(wrong.error?.cause).toMatchObject({ code: 'FLUENT_FORWARD_AUTH_FAILED' });
    const { lines, stderr } = await stop();
    expect(lines).toHaveLength(1);
    expect(stderr).toMatch(/^refused the client of connection 1: shared_key mismatch$/m);
  });

  test.concurrent('does wrong what it is told to, over and over', async () => {
    const { endpoint, stop } = await start('--faults', 'reset, none');
    for (let i = 0; i < 3; i++) expect((await send({ endpoint }, logRecord(`record ${i}`))).code).toBe(0);
    const { lines } = await stop();
    expect(lines.map((line) => /record \d/.exec(line)?.[0])).toEqual([0, 0, 1, 1, 2, 2].map((i) => `record ${i}`));
  });

  test.concurrent.each([
    ['withhold', ['FLUENT_FORWARD_ACK_TIMEOUT']],
    ['delay:60000', ['FLUENT_FORWARD_ACK_TIMEOUT']],
    ['misaddress', ['FLUENT_FORWARD_ACK_TIMEOUT']],
    // The ack is late, and the answer incomplete for as long.
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
  ])('knows the fault %s', async (fault, codes) => {
    const { endpoint, stop } = await start('--faults', fault);
    // Only a missing ack is to come soon.
    const ackTimeoutMillis = codes.includes('FLUENT_FORWARD_ACK_TIMEOUT') ? 300 : 1_900;
    const { code, error } = await send(
      codes.length === 0 ? { endpoint } : { endpoint, timeoutMillis: 2_000, ackTimeoutMillis },
      RECORD,
    );
    expect(code).toBe(codes.length === 0 ? 0 : 1);
    if (code === 1) expect(codes).toContain((error?.cause as { code?: string } | undefined)?.code);
    await stop();
  });

  test.concurrent('tells of what is no Forward message, and goes on', async () => {
    const { endpoint, stderr, stop } = await start();
    await sendRaw(endpoint, Buffer.from('GET / HTTP/1.1\r\n\r\n'));
    await until(() => stderr().includes('got what is no Forward message: '));
    expect((await send({ endpoint }, RECORD)).code).toBe(0);
    await stop();
  });

  test.concurrent.each(['SIGINT', 'SIGTERM'] as const)('ends by %s with clients connected', async (signal) => {
    const { endpoint, stdout, stop } = await start();
    const exporter = new FluentForwardLogExporter({ endpoint });
    await new Promise((resolve) => exporter.export([RECORD, RECORD], resolve));
    await until(() => stdout().split('\n').length === 3);
    const { code, stderr } = await stop(signal);
    expect(code).toBe(0);
    expect(stderr).toContain('received 2 records in 1 messages over 1 connections\n');
    await exporter.shutdown();
  });

  test.concurrent('a signal that comes again, as by npx, does not cut off the ending', async () => {
    const { child, finished } = startCli(['sink', '--port', '0']);
    children.push(child);
    await once(child.stderr as NodeJS.ReadableStream, 'data');
    const again = setInterval(() => child.kill('SIGINT'), 1);
    const { code, stderr } = await finished.finally(() => clearInterval(again));
    expect(code).toBe(0);
    expect(stderr).toContain('received 0 records');
  });

  test.concurrent('a port in use is a clear error', async () => {
    const receiver = await ForwardReceiver.listen();
    const { port } = receiver;
    const { code, stdout, stderr } = await runCli(['sink', '--port', String(port)]);
    await receiver.close();
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toBe(
      `fluent-forward: cannot listen on 127.0.0.1, port ${port}: the port is in use; another receiver listens there, or give another --port\n`,
    );
  });

  test.concurrent('what goes wrong is JSON with --json', async () => {
    const receiver = await ForwardReceiver.listen();
    const { code, stdout, stderr } = await runCli(['sink', '--json', '--port', String(receiver.port)]);
    await receiver.close();
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    const message = expect.stringMatching(/^cannot listen on 127\.0\.0\.1, port \d+: the port is in use/);
    expect(JSON.parse(stderr)).toEqual({ event: 'error', message });
  });

  test.concurrent('a reader that goes away ends it', async () => {
    const { child, finished, wrote } = startCli(['sink', '--port', '0', '--json']);
    let stderr = '';
    child.stderr?.on('data', (text) => {
      stderr += text;
    });
    await until(() => stderr.includes('listening'));
    const { endpoint } = JSON.parse(stderr) as { endpoint: string };
    await send({ endpoint }, RECORD);
    await wrote('payment declined');
    child.stdout?.destroy();
    await send({ endpoint, timeoutMillis: 2_000, ackTimeoutMillis: 1_000 }, RECORD);
    expect((await finished).code).toBe(1);
  });

  test.concurrent('counts on a terminal', async () => {
    const { child, screen, type, finished } = startOnTerminal(['sink', '--port', '0']);
    children.push(child);
    await until(() => screen().includes('listening on '));
    const endpoint = /tcp:[\d./:]+/.exec(screen())?.[0] as string;
    await until(() => screen().includes('\r\x1b[K0 records in 0 messages, 0 per second'));
    await send({ endpoint }, RECORD, RECORD, RECORD);
    await until(() => screen().includes('\r\x1b[K3 records in 1 messages, 3 per second'));
    // The line gives way to what is printed.
    expect(screen().replaceAll('\x1b[2m', '')).toContain('per second\r\x1b[K2023-11-14T22:13:20.123Z');
    // Ctrl-C.
    type('\x03');
    expect(await finished).toBe(0);
    expect(screen()).toContain('received 3 records in 1 messages over 1 connections');
  });
});

describe('its arguments', () => {
  test.concurrent('--help tells the options', async () => {
    const { code, stdout, stderr } = await runCli(['sink', '--help']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    for (const option of ['host', 'port', 'tls-cert', 'tls-key', 'shared-key', 'faults', 'json', 'help']) {
      expect(stdout).toContain(`  --${option} `);
    }
  });

  test.concurrent.each([
    { args: ['--port', '65536'], message: "--port is a number from 0 to 65535, not '65536'" },
    { args: ['--port', 'http'], message: "not 'http'" },
    { args: ['--port', ''], message: "not ''" },
    { args: ['--faults', 'explode'], message: "'explode' is no fault" },
    { args: ['--faults', 'delay'], message: "'delay' is no fault; it needs a number" },
    { args: ['--faults', 'reset:1'], message: "'reset:1' is no fault; 'reset' takes no number" },
    { args: ['--faults', ''], message: "'' is no fault" },
    { args: ['--tls-cert', 'x.pem'], message: '--tls-cert and --tls-key belong together' },
    { args: ['--tls-cert', 'x.pem', '--tls-key', 'x.key'], message: "ENOENT: no such file or directory, open 'x.pem'" },
    { args: ['--colour'], message: "Unknown option '--colour'" },
  ])('refuses $args', async ({ args, message }) => {
    const { code, stdout, stderr } = await runCli(['sink', ...args]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(message);
    expect(stderr).toContain('Usage: fluent-forward sink');
  });

  test.concurrent.each([
    ['sink', '--json', '--port', 'http'],
    ['doctor', '--endpoint', 'http://fluent', '--json'],
  ])('%s says in JSON what is wrong with them', async (...args) => {
    const { code, stdout, stderr } = await runCli(args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(JSON.parse(stderr)).toEqual({ event: 'error', message: expect.stringContaining('http') });
  });
});
