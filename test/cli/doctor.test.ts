import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import zlib from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ForwardReceiver, type ForwardReceiverOptions, type ReceivedMessage } from '../../src/testing/index.ts';
import { Authority } from '../support/certificates.ts';
import { LONG_LIMIT_VARIABLES } from '../support/long-limits.ts';
import { type Finding, failureOf, outcomesOf, REFUSAL_LIMITS, runDoctor, textOf, WORKING } from './doctor-report.ts';
import { CLI_PATH, runCli, startOnTerminal, VARIABLE_PREFIX } from './run-cli.ts';

const KEY = 'kéy-that-nobody-guesses';

let directory: string;
let authority: Authority;
const receivers: ForwardReceiver[] = [];

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'doctor-'));
  authority = await Authority.create('the authority');
  file('ca.pem', authority.cert);
  const { cert, key } = await authority.issue();
  file('server.pem', cert);
  file('server.key', key);
});

afterAll(async () => {
  for (const receiver of receivers) await receiver.close();
  rmSync(directory, { recursive: true });
});

function file(name: string, content: string): string {
  const path = join(directory, name);
  writeFileSync(path, content);
  return path;
}

async function listen(options?: ForwardReceiverOptions): Promise<ForwardReceiver> {
  const receiver = await ForwardReceiver.listen(options);
  receivers.push(receiver);
  return receiver;
}

describe('doctor with a working receiver', () => {
  test.concurrent('doctor reports that exporting works, and marks each of its test records', async () => {
    const receiver = await listen();
    const report = await runDoctor(receiver.endpoint);
    expect(report).toMatchObject({ works: true, endpoint: receiver.endpoint });
    expect(outcomesOf(report)).toEqual(['connect passed', ...WORKING]);
    for (const { check, outcome, millis } of report.findings) {
      if (outcome === 'passed') expect(millis, check).toBeGreaterThan(0);
    }
    expect(new Set(receiver.messages.map(({ tag }) => tag))).toEqual(new Set(['fluent_forward.doctor']));
    const plain = receiver.messages.filter((message) => !isOtlp(message)).flatMap(({ entries }) => entries);
    expect(plain.length).toBeGreaterThanOrEqual(4);
    for (const { record } of plain) {
      expect(record).toMatchObject({ attributes: { 'fluent_forward.doctor': report.run } });
    }
    const sizes = receiver.messages.map(({ bytes }) => bytes);
    expect(Math.max(...sizes)).toBeGreaterThan(970_000);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(1_000_000);
    // Each run has its own mark.
    expect((await runDoctor(receiver.endpoint)).run).not.toBe(report.run);
  });

  test.concurrent('doctor sends its records with the layout and the tag of its arguments', async () => {
    const receiver = await listen();
    const args = [
      '--endpoint',
      receiver.endpoint,
      '--layout',
      'flat',
      '--tag',
      'routed.${attributes.fluent_forward.doctor}',
    ];
    const { code, stdout } = await runCli(['doctor', ...args]);
    const run = /fluent_forward\.doctor: ([\da-f]{8}) to/.exec(stdout)?.[1];
    expect(code).toBe(0);
    expect(stdout).toMatch(/✓ record +\d+ ms {2}acknowledged in the layout flat$/m);
    for (const { tag } of receiver.messages) expect(tag).toBe(`routed.${run}`);
    expect(receiver.entries[0]?.record).toMatchObject({ 'fluent_forward.doctor': run });
  });

  test.concurrent('doctor says that an ack does not prove the layout otlp when that layout is configured', async () => {
    const { findings } = await runDoctor((await listen()).endpoint, { LAYOUT: 'otlp' });
    const record = findings.find(({ check }) => check === 'record');
    expect(record).toMatchObject({ outcome: 'passed' });
    expect(record?.text).toBe(
      'acknowledged in the layout otlp (Fluent Bit understands it; others may do so and lose parts of it)',
    );
  });

  test.concurrent('doctor accepts a receiver that closes the connection after each ack', async () => {
    const receiver = await listen({ messageFaults: () => ({ kind: 'close', when: 'after ack' }) });
    const report = await runDoctor(receiver.endpoint);
    expect(report.works, report.stdout).toBe(true);
    expect(report.findings).toContainEqual({
      subject: 'exporter',
      check: 'rotation',
      outcome: 'noted',
      text: 'the receiver closes after each ack (deny_keepalive): each message has its own connection',
    });
  });

  test.concurrent('doctor accepts a receiver that acknowledges only the configured compression and layout', async () => {
    const receiver = await listen({
      messageFaults: (message) => (isOtlp(message) || message.mode === 'compressed' ? { kind: 'withhold' } : undefined),
    });
    const report = await runDoctor(receiver.endpoint);
    expect(report.works, report.stdout).toBe(true);
    const noted = report.findings.filter(({ outcome }) => outcome === 'noted');
    expect(noted.map(({ check, text }) => `${check}: ${text}`)).toEqual([
      'gzip: not acknowledged',
      'zstdCompress' in zlib
        ? 'zstd: not acknowledged'
        : `zstd: not tried: Node.js ${process.versions.node} has no zstd; 22.15 and later have`,
      'otlp layout: not acknowledged',
    ]);
  });

  test.concurrent('doctor checks the configured compression with a record and with a large chunk', async () => {
    const receiver = await listen();
    const report = await runDoctor(receiver.endpoint, { COMPRESSION: 'gzip' });
    expect(report.works, report.stdout).toBe(true);
    const [, raw, sent] = /^acknowledged (\d+) bytes as (\d+) in gzip$/.exec(textOf(report, 'compression')) ?? [];
    expect(Number(sent)).toBeLessThan(Number(raw) / 2);
    const compressed = receiver.messages.filter(({ mode }) => mode === 'compressed');
    expect(compressed.some(isFor('compression'))).toBe(true);
    expect(compressed.find(isFor('large chunk'))?.bytes).toBeGreaterThan(600_000);
    expect(textOf(report, 'large chunk')).toMatch(/^acknowledged 9[789]\d{4} bytes; maxChunkBytes is 1000000$/);
    // The check of a record is about the layout alone.
    expect(compressed.some(isFor('record'))).toBe(false);
  });

  test.concurrent('doctor checks each address, and finds that one which works is enough', async () => {
    const { endpoint, port } = await listen();
    const report = await runDoctor(`tcp://127.0.0.1:1,${endpoint}`);
    expect(report.works, report.stdout).toBe(true);
    expect(failureOf(report)).toMatchObject({ subject: '127.0.0.1:1', check: 'connect' });
    expect(report.findings.filter(({ subject }) => subject === `127.0.0.1:${port}`)).toHaveLength(2);
  });

  test.concurrent('doctor looks up the addresses of a host name', async () => {
    const receiver = await listen();
    const report = await runDoctor(`tcp://localhost:${receiver.port}`);
    expect(report.works, report.stdout).toBe(true);
    expect(report.findings[0]).toMatchObject({
      subject: `tcp://localhost:${receiver.port}`,
      check: 'name lookup',
      outcome: 'passed',
      text: expect.stringContaining(`127.0.0.1:${receiver.port}`),
    });
  });

  test.concurrent('doctor checks a Unix socket, and checks no rotation when rotation is off', async () => {
    const receiver = await listen({ path: join(directory, 'forward.sock') });
    const report = await runDoctor(receiver.endpoint, { ROTATION_INTERVAL: '0' });
    expect(report.works, report.stdout).toBe(true);
    expect(outcomesOf(report).slice(0, 4)).toEqual([
      'connect passed',
      'ack passed',
      'record passed',
      'large chunk passed',
    ]);
  });

  test.concurrent('doctor reports the version of TLS, the certificates and how long they are valid', async () => {
    const { cert, key } = await authority.issue({ names: ['localhost', '127.0.0.1'], toDay: 30.5 });
    const receiver = await listen({ tls: { cert, key }, security: { sharedKey: KEY } });
    const report = await runDoctor(receiver.endpoint, { CERTIFICATE: join(directory, 'ca.pem'), SHARED_KEY: KEY });
    expect(report.works, report.stdout).toBe(true);
    expect(outcomesOf(report).slice(0, 4)).toEqual(['connect passed', 'TLS passed', 'handshake passed', 'ack passed']);
    // The certificate of the authority ends first.
    expect(report.findings[1]?.text).toBe('TLSv1.3, certificate localhost by the authority, valid for less than a day');
  });

  test.concurrent('doctor reports invalid and unused settings, and goes on with the others', async () => {
    const receiver = await listen();
    const report = await runDoctor(receiver.endpoint, {
      TAG: 'a ${nothing}',
      MAX_IN_FLIGHT_CHUNKS: 'many',
      USERNAME: 'x',
    });
    expect(report.works, report.stdout).toBe(true);
    expect(report.findings.filter(({ check }) => check === 'configuration').map(({ text }) => text)).toEqual([
      expect.stringContaining('OTEL_EXPORTER_FLUENT_FORWARD_TAG: got'),
      expect.stringContaining('OTEL_EXPORTER_FLUENT_FORWARD_MAX_IN_FLIGHT_CHUNKS: got'),
      expect.stringContaining('username and password are not used'),
    ]);
  });

  test.concurrent.each([2048, 6_000_000])('doctor sends a chunk of nearly maxChunkBytes: %i', async (bytes) => {
    const receiver = await listen();
    const report = await runDoctor(receiver.endpoint, { MAX_CHUNK_BYTES: String(bytes) });
    expect(report.works, report.stdout).toBe(true);
    const largest = Math.max(...receiver.messages.map((message) => message.bytes));
    expect(largest).toBeGreaterThan(bytes * 0.7);
    expect(largest).toBeLessThanOrEqual(bytes);
  });
});

function isOtlp({ entries }: ReceivedMessage): boolean {
  return entries.length === 3;
}

/** Whether a message holds the test record of this check, in the layout default. */
function isFor(check: string): (message: ReceivedMessage) => boolean {
  const text = `test record of fluent-forward doctor: ${check}`;
  return ({ entries: [entry] }) => (entry?.record as { message?: unknown } | undefined)?.message === text;
}

/** A receiver that acknowledges everything but the test record of this check. */
function withholdingAckOf(check: string): ForwardReceiverOptions {
  const isConcerned = isFor(check);
  return { messageFaults: (message) => (isConcerned(message) ? { kind: 'withhold' } : undefined) };
}

interface FaultCase {
  readonly title: string;
  readonly receiver?: ForwardReceiverOptions | (() => Promise<ForwardReceiverOptions>);
  readonly prepare?: (receiver: ForwardReceiver) => void;
  readonly endpoint?: (receiver: ForwardReceiver) => string;
  readonly variables?: () => Record<string, string>;
  readonly finding: Omit<Finding, 'subject' | 'outcome' | 'text' | 'remedy'> & {
    readonly text: string;
    readonly remedy: string;
  };
}

const FAULT_CASES: readonly FaultCase[] = [
  // The slow cases come first, so that the others run beside them.
  {
    title: 'doctor reports the second record as unacknowledged when only the first gets an ack',
    receiver: withholdingAckOf('record'),
    variables: () => REFUSAL_LIMITS,
    finding: {
      check: 'record',
      code: 'FLUENT_FORWARD_TIMEOUT',
      text: 'last fault: ',
      remedy: 'paused or its buffer full',
    },
  },
  {
    title: 'doctor reports a failed rotation when the receiver accepts only one connection',
    prepare: (receiver) => {
      receiver.connectionFaults = () => (receiver.openConnections > 1 ? { kind: 'reset', afterBytes: 0 } : undefined);
    },
    // Doctor waits for CONNECT_TIMEOUT, TIMEOUT and one and a half of its rotation intervals of a second.
    variables: () => ({ CONNECT_TIMEOUT: '5000', TIMEOUT: '8500', ACK_TIMEOUT: '8000' }),
    finding: {
      check: 'rotation',
      text: 'no second connection took over within 15000 ms',
      remedy: 'limits the connections',
    },
  },
  {
    title: 'doctor reports an unacknowledged compression when compressed chunks get no ack',
    receiver: withholdingAckOf('compression'),
    variables: () => ({ ...REFUSAL_LIMITS, COMPRESSION: 'gzip' }),
    finding: {
      check: 'compression',
      code: 'FLUENT_FORWARD_TIMEOUT',
      text: 'gzip',
      remedy:
        'set compression to one that the receiver knows (zstd: Fluentd from 1.19, Fluent Bit from 4.1), or to none',
    },
  },
  {
    title: 'doctor reports an unacknowledged chunk size when a large chunk gets no ack',
    receiver: withholdingAckOf('large chunk'),
    variables: () => REFUSAL_LIMITS,
    finding: {
      check: 'large chunk',
      code: 'FLUENT_FORWARD_TIMEOUT',
      text: 'neither it nor a later one was acknowledged',
      remedy: 'lower maxChunkBytes',
    },
  },
  {
    title: 'doctor reports a failed name lookup when the host name has no address',
    endpoint: () => 'tcp://no-such-name.invalid',
    finding: {
      check: 'name lookup',
      code: 'FLUENT_FORWARD_LOOKUP_FAILED',
      text: 'no address for tcp://no-such-name.invalid:24224: ',
      remedy: 'correct the name in endpoint',
    },
  },
  {
    title: 'doctor reports unreadable credentials when the file of the shared key is missing',
    variables: () => ({ SHARED_KEY_FILE: join(directory, 'missing') }),
    finding: {
      check: 'credentials',
      code: 'FLUENT_FORWARD_CREDENTIALS_UNREADABLE',
      text: 'SHARED_KEY_FILE',
      remedy: 'correct the option or the file',
    },
  },
  {
    title: 'doctor reports a refused connection when nothing listens at the port',
    endpoint: () => 'tcp://127.0.0.1:1',
    finding: {
      check: 'connect',
      code: 'FLUENT_FORWARD_CONNECT_FAILED',
      text: 'connection refused; is the receiver running, and listening there?',
      remedy: 'start the receiver',
    },
  },
  {
    title: 'doctor reports a failed TLS handshake when the receiver does not speak TLS',
    endpoint: ({ port }) => `tls://127.0.0.1:${port}`,
    finding: {
      check: 'TLS',
      code: 'FLUENT_FORWARD_TLS_FAILED',
      text: 'in the TLS handshake',
      remedy: 'tls:// or tcp://',
    },
  },
  {
    title: 'doctor reports a TLS handshake that takes too long when the receiver never answers',
    receiver: { connectionFaults: () => ({ kind: 'stop reading', afterBytes: 0 }) },
    endpoint: ({ port }) => `tls://127.0.0.1:${port}`,
    variables: () => ({ CONNECT_TIMEOUT: '5000' }),
    finding: {
      check: 'TLS',
      code: 'FLUENT_FORWARD_CONNECT_TIMEOUT',
      text: 'the TLS handshake took longer than 5000 ms',
      remedy: 'let the receiver speak TLS there',
    },
  },
  {
    title: 'doctor reports a certificate of the receiver that has expired',
    receiver: async () => ({ tls: await authority.issue({ fromDay: -2, toDay: -1 }) }),
    variables: () => ({ CERTIFICATE: join(directory, 'ca.pem') }),
    finding: {
      check: 'TLS',
      code: 'FLUENT_FORWARD_TLS_FAILED',
      text: 'has expired',
      remedy: 'certificates of both sides',
    },
  },
  {
    title: 'doctor suggests a client certificate when the receiver refuses a client without one',
    receiver: async () => ({ tls: { ...(await authority.issue()), ca: authority.cert, requestCert: true } }),
    variables: () => ({ CERTIFICATE: join(directory, 'ca.pem') }),
    finding: {
      check: 'TLS',
      code: 'FLUENT_FORWARD_TLS_FAILED',
      text: 'it probably wants a client certificate',
      remedy: 'tls.cert',
    },
  },
  {
    title: 'doctor reports a failed handshake when the shared key is wrong',
    receiver: { security: { sharedKey: KEY } },
    variables: () => ({ SHARED_KEY: 'another' }),
    finding: {
      check: 'handshake',
      code: 'FLUENT_FORWARD_AUTH_FAILED',
      text: 'the server refuses this client: "shared_key mismatch"; check sharedKey',
      remedy: 'set sharedKey',
    },
  },
  {
    title: 'doctor reports a failed handshake when the receiver wants a shared key and none is set',
    receiver: { security: { sharedKey: KEY } },
    finding: {
      check: 'handshake',
      code: 'FLUENT_FORWARD_AUTH_FAILED',
      text: 'the server sent HELO: it wants a shared key',
      remedy: 'set sharedKey',
    },
  },
  {
    title: 'doctor reports a handshake that takes too long when the receiver wants no shared key',
    variables: () => ({ SHARED_KEY: KEY, CONNECT_TIMEOUT: '5000' }),
    finding: {
      check: 'handshake',
      code: 'FLUENT_FORWARD_CONNECT_TIMEOUT',
      text: 'no HELO within 5000 ms',
      remedy: 'unset sharedKey',
    },
  },
  {
    title: 'doctor reports a server that does not know the shared key as untrusted',
    receiver: { security: { sharedKey: KEY }, handshakeFaults: () => ({ kind: 'impostor' }) },
    variables: () => ({ SHARED_KEY: KEY }),
    finding: {
      check: 'handshake',
      code: 'FLUENT_FORWARD_SERVER_UNTRUSTED',
      text: 'the server does not prove that it knows the shared key',
      remedy: 'make sure that this is the receiver',
    },
  },
  {
    title: 'doctor reports a missing ack when the receiver sends none within the ack timeout',
    receiver: withholdingAckOf('ack'),
    variables: () => ({ ACK_TIMEOUT: '400' }),
    finding: {
      check: 'ack',
      code: 'FLUENT_FORWARD_ACK_TIMEOUT',
      text: 'no ack within 400 ms',
      remedy: 'paused or its buffer full',
    },
  },
  {
    title: 'doctor reports a missing ack when the ack is not complete within the ack timeout',
    receiver: { messageFaults: () => ({ kind: 'drip', millis: 100 }) },
    variables: () => ({ ACK_TIMEOUT: '400' }),
    finding: {
      check: 'ack',
      code: 'FLUENT_FORWARD_ACK_TIMEOUT',
      text: 'no ack within 400 ms',
      remedy: 'paused or its buffer full',
    },
  },
  {
    title: 'doctor reports a lost connection when the receiver resets the connection before the ack',
    receiver: { messageFaults: () => ({ kind: 'reset', when: 'before ack' }) },
    finding: {
      check: 'ack',
      code: 'FLUENT_FORWARD_CONNECTION_LOST',
      text: 'the server reset the connection',
      remedy: "receiver's log",
    },
  },
  {
    title: 'doctor reports a bad answer when the receiver speaks another protocol',
    receiver: { messageFaults: () => ({ kind: 'garbage', bytes: Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n') }) },
    finding: {
      check: 'ack',
      code: 'FLUENT_FORWARD_BAD_ANSWER',
      text: 'the server answered with',
      remedy: 'a Forward input listens there',
    },
  },
  {
    title: 'doctor reports a record that the receiver answers without accepting it',
    receiver: { messageFaults: () => ({ kind: 'refuse' }) },
    finding: {
      check: 'ack',
      code: 'FLUENT_FORWARD_NOT_ACCEPTED',
      text: 'without accepting it',
      remedy: 'a Forward input listens there',
    },
  },
];

describe('doctor with a fault', () => {
  for (const { title, receiver: given = {}, prepare, endpoint, variables, finding } of FAULT_CASES) {
    test.concurrent(title, async () => {
      const receiver = await listen(typeof given === 'function' ? await given() : given);
      prepare?.(receiver);
      const report = await runDoctor(endpoint?.(receiver) ?? receiver.endpoint, variables?.());
      expect(report.works).toBe(false);
      expect(failureOf(report)).toMatchObject({
        ...finding,
        text: expect.stringContaining(finding.text),
        remedy: expect.stringContaining(finding.remedy),
        millis: expect.any(Number),
      });
      // Nothing is tried that would fail for the same reason.
      const isLast = finding.check !== 'compression' && finding.check !== 'large chunk';
      if (isLast) expect(report.findings.at(-1)).toMatchObject({ check: finding.check });
      // A check that has failed is not reported as passed before.
      const rows = report.findings.map(({ subject, check }) => `${subject} ${check}`);
      expect(new Set(rows).size).toBe(rows.length);
      // A doctor that never ends is killed after 100 seconds.
      expect(report.millis).toBeLessThan(90_000);
      expect(report.stdout).not.toContain(KEY);
    });
  }

  test.concurrent('doctor does not repeat the address in the reason of a failure', async () => {
    const path = join(directory, 'no such.sock');
    expect(failureOf(await runDoctor(`unix://${path}`))).toMatchObject({
      subject: path,
      text: 'there is no such socket; is the receiver running?',
    });
  });

  test.concurrent('doctor prints the sign, the time, the reason and the remedy of a failure', async () => {
    const { code, stdout, stderr } = await runCli(['doctor', '--endpoint', 'tcp://127.0.0.1:1']);
    expect({ code, stderr }).toEqual({ code: 1, stderr: '' });
    expect(stdout).toMatch(
      /^127\.0\.0\.1:1\n {2}✗ connect +\d+ ms {2}connection refused; .+\n {4}→ start the receiver.+\n\nExporting would not work\.\n$/m,
    );
  });

  test.concurrent('doctor counts the seconds on a terminal while it waits for an answer', async () => {
    const { endpoint } = await listen({ messageFaults: [{ kind: 'withhold' }] });
    const variables = { [`${VARIABLE_PREFIX}ACK_TIMEOUT`]: '5000', NO_COLOR: '1' };
    const { screen, finished } = startOnTerminal(['doctor', '--endpoint', endpoint], variables);
    expect(await finished).toBe(1);
    // Each line replaces the one before, and the findings replace the last one.
    const lines = screen().split('\r\x1b[K');
    const seconds = lines.slice(1, -1).map((line) => Number(/… checking, (\d+) s; /.exec(line)?.[1]));
    expect(seconds.length).toBeGreaterThanOrEqual(2);
    expect(seconds).toEqual(seconds.map((_, i) => i + 1));
    expect(lines.at(-1)).toContain('✗ ack');
    expect(screen()).toContain('no ack within 5000 ms');
  });

  test.concurrent('doctor uses colours on a terminal and with FORCE_COLOR, and none with NO_COLOR', async () => {
    const args = ['doctor', '--endpoint', 'tcp://127.0.0.1:1'];
    const red = '\x1b[31m✗\x1b[39m';
    expect((await runCli(args, { env: { FORCE_COLOR: '1' } })).stdout).toContain(red);
    expect((await runCli(args)).stdout).not.toContain('\x1b');
    const coloured = startOnTerminal(args);
    await coloured.finished;
    expect(coloured.screen()).toContain(red);
    const plain = startOnTerminal(args, { NO_COLOR: '1' });
    await plain.finished;
    expect(plain.screen()).toContain('✗');
    expect(plain.screen()).not.toContain(red);
  });
});

describe('the command line', () => {
  test.concurrent('doctor --help lists its options', async () => {
    const { code, stdout, stderr } = await runCli(['doctor', '--help']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    for (const option of ['endpoint', 'layout', 'compression', 'tag', 'json', 'help'])
      expect(stdout).toContain(`  --${option} `);
  });

  test.concurrent.each<[args: string[], message: string]>([
    [[], 'a command is missing'],
    [['cure'], "there is no command 'cure'"],
    [['\x1b[31mcure'], "there is no command '\\u{1b}[31mcure'"],
    [['doctor', 'now'], "Unexpected argument 'now'"],
    [['doctor', '--speed'], "Unknown option '--speed'"],
    [['doctor', '--endpoint', 'http://x'], 'option endpoint: got "http://x"'],
    [['doctor', '--layout', 'round'], 'option layout: got "round"'],
    [['doctor', '--compression', 'lzma'], 'option compression: got "lzma"'],
    [['doctor', '--tag', 'a.${'], 'option tag: got "a.${"'],
  ])('fluent-forward rejects wrong arguments with exit code 2 and its usage: %j', async (args, message) => {
    const { code, stdout, stderr } = await runCli(args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(`fluent-forward: ${message}`);
    expect(stderr).toContain('Usage: fluent-forward');
  });

  test.concurrent('doctor shows no password of an endpoint in a wrong argument', async () => {
    const { code, stderr } = await runCli(['doctor', 'tcp://user:do-not-tell@host']);
    expect(code).toBe(2);
    expect(stderr).toMatch(/^fluent-forward: …@host'/);
    expect(stderr).not.toContain('do-not-tell');
  });

  test.concurrent('fluent-forward --help lists the commands with examples', async () => {
    const { code, stdout } = await runCli(['--help']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^ {2}doctor {2}.+\n {2}sink /m);
    expect(stdout).toMatch(/^Examples:\n {2}fluent-forward doctor /m);
  });

  test.concurrent('doctor ends without an error message when the reader of its output is gone', async () => {
    let closed = () => {};
    const until = new Promise<void>((resolve) => {
      closed = resolve;
    });
    // With the ack delayed until then, doctor writes its findings when nobody reads any more.
    const { endpoint } = await listen({ messageFaults: [{ kind: 'delay', until }] });
    const doctor = `"$0" ${CLI_PATH} doctor --endpoint ${endpoint}`;
    const command = `${doctor} | { head -n 1; exec <&-; echo closed; }; echo "\${PIPESTATUS[0]}"`;
    const child = spawn('bash', ['-c', command, process.execPath], {
      env: { ...process.env, ...LONG_LIMIT_VARIABLES },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (data) => {
        output += data;
        if (output.includes('\nclosed\n')) closed();
      });
    }
    await once(child, 'close');
    expect(output).toMatch(/^Sending test records .+\nclosed\n1\n$/);
  });
});
