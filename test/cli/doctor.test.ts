import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ForwardReceiver, type ForwardReceiverOptions, type ReceivedMessage } from '../../src/testing/index.ts';
import { Authority } from '../support/certificates.ts';
import { doctor, type Finding, failureOf, outcomes, REFUSAL, textOf, VARIABLE, WORKING } from './doctor-report.ts';
import { runCli, startOnTerminal } from './run-cli.ts';

const LIMIT = { timeout: 60_000 };
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

describe('where all is well', () => {
  test.concurrent('it tells so, and every record is marked', LIMIT, async () => {
    const receiver = await listen();
    const report = await doctor(receiver.endpoint);
    expect(report).toMatchObject({ works: true, endpoint: receiver.endpoint });
    expect(outcomes(report)).toEqual(['connect passed', ...WORKING]);
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
    // Another run has another mark.
    expect((await doctor(receiver.endpoint)).run).not.toBe(report.run);
  });

  test.concurrent('it uses the layout and the tag that it is told to', LIMIT, async () => {
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

  test.concurrent('it says where an ack of what is configured may say too much', LIMIT, async () => {
    const { findings } = await doctor((await listen()).endpoint, { LAYOUT: 'otlp' });
    const record = findings.find(({ check }) => check === 'record');
    expect(record).toMatchObject({ outcome: 'passed' });
    expect(record?.text).toBe(
      'acknowledged in the layout otlp (Fluent Bit understands it; others may do so and lose parts of it)',
    );
  });

  test.concurrent('a receiver that takes one message a connection is no fault', LIMIT, async () => {
    const receiver = await listen({ messageFaults: () => ({ kind: 'close', when: 'after ack' }) });
    const report = await doctor(receiver.endpoint);
    expect(report.works, report.stdout).toBe(true);
    expect(report.findings).toContainEqual({
      subject: 'exporter',
      check: 'rotation',
      outcome: 'noted',
      text: 'the receiver closes after each ack (deny_keepalive): each message has its own connection',
    });
  });

  test.concurrent('what the receiver does not take of what is not configured is no fault', LIMIT, async () => {
    const receiver = await listen({
      messageFaults: (message) => (isOtlp(message) || message.mode === 'compressed' ? { kind: 'withhold' } : undefined),
    });
    const report = await doctor(receiver.endpoint);
    expect(report.works, report.stdout).toBe(true);
    const noted = report.findings.filter(({ outcome }) => outcome === 'noted');
    expect(noted.map(({ check, text }) => `${check}: ${text}`)).toEqual([
      'gzip: not acknowledged',
      expect.stringMatching(/^zstd: not (acknowledged|tried: Node\.js 20\.\S+ has no zstd)/),
      'otlp layout: not acknowledged',
    ]);
  });

  test.concurrent('it tries the compression that is configured, also on a large chunk', LIMIT, async () => {
    const receiver = await listen();
    const report = await doctor(receiver.endpoint, { COMPRESSION: 'gzip' });
    expect(report.works, report.stdout).toBe(true);
    const [, raw, sent] = /^acknowledged (\d+) bytes as (\d+) in gzip$/.exec(textOf(report, 'compression')) ?? [];
    expect(Number(sent)).toBeLessThan(Number(raw) / 2);
    const compressed = receiver.messages.filter(({ mode }) => mode === 'compressed');
    expect(compressed.some(isFor('compression'))).toBe(true);
    expect(compressed.find(isFor('large chunk'))?.bytes).toBeGreaterThan(600_000);
    expect(textOf(report, 'large chunk')).toMatch(/^acknowledged 9[789]\d{4} bytes; maxChunkBytes is 1000000$/);
    // A record by itself is not.
    expect(compressed.some(isFor('record'))).toBe(false);
  });

  test.concurrent('one address that works is enough, and each is checked', LIMIT, async () => {
    const [live, dead] = [await listen(), await listen()];
    const endpoints = [dead, live].map(({ endpoint }) => endpoint);
    await dead.close();
    const report = await doctor(endpoints.join(','));
    expect(report.works, report.stdout).toBe(true);
    expect(failureOf(report)).toMatchObject({
      subject: `127.0.0.1:${endpoints[0]?.split(':').at(-1)}`,
      check: 'connect',
    });
    expect(report.findings.filter(({ subject }) => subject === `127.0.0.1:${live.port}`)).toHaveLength(2);
  });

  test.concurrent('it finds all addresses of a name', LIMIT, async () => {
    const receiver = await listen();
    const report = await doctor(`tcp://localhost:${receiver.port}`);
    expect(report.works, report.stdout).toBe(true);
    expect(report.findings[0]).toMatchObject({
      subject: `tcp://localhost:${receiver.port}`,
      check: 'name lookup',
      outcome: 'passed',
      text: expect.stringContaining(`127.0.0.1:${receiver.port}`),
    });
  });

  test.concurrent('it goes through a Unix socket, and leaves rotation alone where there is none', LIMIT, async () => {
    const receiver = await listen({ path: join(directory, 'forward.sock') });
    const report = await doctor(receiver.endpoint, { ROTATION_INTERVAL: '0' });
    expect(report.works, report.stdout).toBe(true);
    expect(outcomes(report).slice(0, 4)).toEqual([
      'connect passed',
      'ack passed',
      'record passed',
      'large chunk passed',
    ]);
  });

  test.concurrent('it tells what stands behind TLS, and for how long', LIMIT, async () => {
    const { cert, key } = await authority.issue({ names: ['localhost', '127.0.0.1'], toDay: 30.5 });
    const receiver = await listen({ tls: { cert, key }, security: { sharedKey: KEY } });
    const report = await doctor(receiver.endpoint, { CERTIFICATE: join(directory, 'ca.pem'), SHARED_KEY: KEY });
    expect(report.works, report.stdout).toBe(true);
    expect(outcomes(report).slice(0, 4)).toEqual(['connect passed', 'TLS passed', 'handshake passed', 'ack passed']);
    // The authority's own certificate ends sooner.
    expect(report.findings[1]?.text).toBe('TLSv1.3, certificate localhost by the authority, valid for less than a day');
  });

  test.concurrent('it says what is odd in the configuration', LIMIT, async () => {
    const receiver = await listen();
    const report = await doctor(receiver.endpoint, {
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

  // By itself: a receiver that decodes so much lets the others' acks wait.
  test.each([2048, 6_000_000])('it fills a chunk of %i bytes', LIMIT, async (bytes) => {
    const receiver = await listen();
    const report = await doctor(receiver.endpoint, { MAX_CHUNK_BYTES: String(bytes) });
    expect(report.works, report.stdout).toBe(true);
    const largest = Math.max(...receiver.messages.map((message) => message.bytes));
    expect(largest).toBeGreaterThan(bytes * 0.7);
    expect(largest).toBeLessThanOrEqual(bytes);
  });
});

function isOtlp({ entries }: ReceivedMessage): boolean {
  return entries.length === 3;
}

function isFor(check: string): (message: ReceivedMessage) => boolean {
  return ({ entries }) => JSON.stringify(entries[0]?.record).includes(`test record of fluent-forward doctor: ${check}`);
}

function withheld(check: string): ForwardReceiverOptions {
  const isConcerned = isFor(check);
  return { messageFaults: (message) => (isConcerned(message) ? { kind: 'withhold' } : undefined) };
}

interface Trouble {
  readonly name: string;
  readonly receiver?: ForwardReceiverOptions | (() => Promise<ForwardReceiverOptions>);
  readonly prepare?: (receiver: ForwardReceiver) => void;
  readonly endpoint?: (receiver: ForwardReceiver) => string;
  readonly variables?: () => Record<string, string>;
  readonly finding: Omit<Finding, 'subject' | 'outcome' | 'text' | 'remedy'> & {
    readonly text: string;
    readonly remedy: string;
  };
}

const TROUBLES: readonly Trouble[] = [
  {
    name: 'no such name',
    endpoint: () => 'tcp://no-such-name.invalid',
    finding: {
      check: 'name lookup',
      code: 'FLUENT_FORWARD_LOOKUP_FAILED',
      text: 'no address for tcp://no-such-name.invalid:24224: ',
      remedy: 'correct the name in endpoint',
    },
  },
  {
    name: 'a secret that cannot be read',
    variables: () => ({ SHARED_KEY_FILE: join(directory, 'missing') }),
    finding: {
      check: 'credentials',
      code: 'FLUENT_FORWARD_CREDENTIALS_UNREADABLE',
      text: 'SHARED_KEY_FILE',
      remedy: 'correct the option or the file',
    },
  },
  {
    name: 'nobody listens',
    endpoint: () => 'tcp://127.0.0.1:1',
    finding: {
      check: 'connect',
      code: 'FLUENT_FORWARD_CONNECT_FAILED',
      text: 'connection refused; is the receiver running, and listening there?',
      remedy: 'start the receiver',
    },
  },
  {
    name: 'TLS to one that speaks none',
    endpoint: ({ port }) => `tls://127.0.0.1:${port}`,
    finding: {
      check: 'TLS',
      code: 'FLUENT_FORWARD_TLS_FAILED',
      text: 'in the TLS handshake',
      remedy: 'tls:// or tcp://',
    },
  },
  {
    name: 'TLS to one that says nothing',
    receiver: { connectionFaults: () => ({ kind: 'stop reading', afterBytes: 0 }) },
    endpoint: ({ port }) => `tls://127.0.0.1:${port}`,
    variables: () => ({ CONNECT_TIMEOUT: '1000' }),
    finding: {
      check: 'TLS',
      code: 'FLUENT_FORWARD_CONNECT_TIMEOUT',
      text: 'the TLS handshake took longer than 1000 ms',
      remedy: 'let the receiver speak TLS there',
    },
  },
  {
    name: 'an expired certificate',
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
    name: 'a client certificate that is asked for, and missing',
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
    name: 'a wrong shared key',
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
    name: 'a shared key that is missing',
    receiver: { security: { sharedKey: KEY } },
    finding: {
      check: 'handshake',
      code: 'FLUENT_FORWARD_AUTH_FAILED',
      text: 'the server sent HELO: it wants a shared key',
      remedy: 'set sharedKey',
    },
  },
  {
    name: 'a shared key that nobody asks for',
    variables: () => ({ SHARED_KEY: KEY, CONNECT_TIMEOUT: '1000' }),
    finding: {
      check: 'handshake',
      code: 'FLUENT_FORWARD_CONNECT_TIMEOUT',
      text: 'no HELO within 1000 ms',
      remedy: 'unset sharedKey',
    },
  },
  {
    name: 'an impostor',
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
    name: 'no ack',
    receiver: withheld('ack'),
    variables: () => ({ ACK_TIMEOUT: '400' }),
    finding: {
      check: 'ack',
      code: 'FLUENT_FORWARD_ACK_TIMEOUT',
      text: 'no ack within 400 ms',
      remedy: 'paused or its buffer full',
    },
  },
  {
    name: 'an ack that comes in drops',
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
    name: 'a reset in place of the ack',
    receiver: { messageFaults: () => ({ kind: 'reset', when: 'before ack' }) },
    finding: {
      check: 'ack',
      code: 'FLUENT_FORWARD_CONNECTION_LOST',
      text: 'the server reset the connection',
      remedy: "receiver's log",
    },
  },
  {
    name: 'another protocol',
    receiver: { messageFaults: () => ({ kind: 'garbage', bytes: Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n') }) },
    finding: {
      check: 'ack',
      code: 'FLUENT_FORWARD_BAD_ANSWER',
      text: 'the server answered with',
      remedy: 'a Forward input listens there',
    },
  },
  {
    name: 'a refusal',
    receiver: { messageFaults: () => ({ kind: 'refuse' }) },
    finding: {
      check: 'ack',
      code: 'FLUENT_FORWARD_NOT_ACCEPTED',
      text: 'without accepting it',
      remedy: 'a Forward input listens there',
    },
  },
  {
    name: 'a receiver that fails at the second record',
    receiver: withheld('record'),
    variables: () => REFUSAL,
    finding: {
      check: 'record',
      code: 'FLUENT_FORWARD_CHUNK_REFUSED',
      text: 'last fault: ',
      remedy: 'paused or its buffer full',
    },
  },
  {
    name: 'a second connection that is not taken',
    prepare: (receiver) => {
      receiver.connectionFaults = () => (receiver.openConnections > 1 ? { kind: 'reset', afterBytes: 0 } : undefined);
    },
    // The first connection may be a second old.
    variables: () => ({ TIMEOUT: '3000', ACK_TIMEOUT: '2500' }),
    finding: {
      check: 'rotation',
      text: 'no second connection took over within 9500 ms',
      remedy: 'limits the connections',
    },
  },
  {
    name: 'a compression that is not taken',
    receiver: withheld('compression'),
    variables: () => ({ ...REFUSAL, COMPRESSION: 'gzip' }),
    finding: {
      check: 'compression',
      code: 'FLUENT_FORWARD_CHUNK_REFUSED',
      text: 'gzip',
      remedy: 'set compression to one that the receiver knows',
    },
  },
  {
    name: 'a chunk that is too large',
    receiver: withheld('large chunk'),
    variables: () => REFUSAL,
    finding: {
      check: 'large chunk',
      code: 'FLUENT_FORWARD_CHUNK_REFUSED',
      text: 'they probably refuse it',
      remedy: 'lower maxChunkBytes',
    },
  },
];

test.concurrent('a reason does not repeat the address, whatever that holds', LIMIT, async () => {
  const path = join(directory, 'no such.sock');
  expect(failureOf(await doctor(`unix://${path}`))).toMatchObject({
    subject: path,
    text: 'there is no such socket; is the receiver running?',
  });
});

describe('what is wrong', () => {
  test.concurrent.each(TROUBLES)(
    '$name',
    LIMIT,
    async ({ receiver: given = {}, prepare, endpoint, variables, finding }) => {
      const receiver = await listen(typeof given === 'function' ? await given() : given);
      prepare?.(receiver);
      const report = await doctor(endpoint?.(receiver) ?? receiver.endpoint, variables?.());
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
      // What has failed has not passed before.
      const rows = report.findings.map(({ subject, check }) => `${subject} ${check}`);
      expect(new Set(rows).size).toBe(rows.length);
      expect(report.millis).toBeLessThan(30_000);
      expect(report.stdout).not.toContain(KEY);
    },
  );

  test.concurrent('each finding of the table has sign, time, reason and remedy', LIMIT, async () => {
    const { code, stdout, stderr } = await runCli(['doctor', '--endpoint', 'tcp://127.0.0.1:1']);
    expect({ code, stderr }).toEqual({ code: 1, stderr: '' });
    expect(stdout).toMatch(
      /^127\.0\.0\.1:1\n {2}✗ connect +\d+ ms {2}connection refused; .+\n {4}→ start the receiver.+\n\nExporting would not work\.\n$/m,
    );
  });

  test.concurrent('counts on a terminal while there is no answer', LIMIT, async () => {
    const { endpoint } = await listen({ messageFaults: [{ kind: 'withhold' }] });
    const variables = { [`${VARIABLE}ACK_TIMEOUT`]: '2500', NO_COLOR: '1' };
    const { screen, finished } = startOnTerminal(['doctor', '--endpoint', endpoint], variables);
    expect(await finished).toBe(1);
    // Each line is in the place of the one before, and what is found in the last one's.
    const lines = screen().split('\r\x1b[K');
    expect(lines[1]).toContain('… checking, 1 s; ');
    expect(lines.at(-2)).toContain('… checking, 2 s; ');
    expect(lines.at(-1)).toContain('✗ ack');
    expect(screen()).toContain('no ack within 2500 ms');
  });

  test.concurrent('colours on a terminal and where they are forced, and NO_COLOR is honoured', LIMIT, async () => {
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

describe('its arguments', () => {
  test.concurrent('--help tells the options', async () => {
    const { code, stdout, stderr } = await runCli(['doctor', '--help']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    for (const option of ['endpoint', 'layout', 'compression', 'tag', 'json', 'help'])
      expect(stdout).toContain(`  --${option} `);
  });

  test.concurrent.each([
    { args: [], message: 'a command is missing' },
    { args: ['cure'], message: "there is no command 'cure'" },
    { args: ['\x1b[31mcure'], message: "there is no command '\\u{1b}[31mcure'" },
    { args: ['doctor', 'now'], message: "Unexpected argument 'now'" },
    { args: ['doctor', '--speed'], message: "Unknown option '--speed'" },
    { args: ['doctor', '--endpoint', 'http://x'], message: 'option endpoint: got "http://x"' },
    { args: ['doctor', '--layout', 'round'], message: 'option layout: got "round"' },
    { args: ['doctor', '--compression', 'lzma'], message: 'option compression: got "lzma"' },
    { args: ['doctor', '--tag', 'a.${'], message: 'option tag: got "a.${"' },
  ])('refuses $args', async ({ args, message }) => {
    const { code, stdout, stderr } = await runCli(args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(`fluent-forward: ${message}`);
    expect(stderr).toContain('Usage: fluent-forward');
  });

  test.concurrent('--help without a command names the commands', async () => {
    const { code, stdout } = await runCli(['--help']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^ {2}doctor {2}.+\n {2}sink /m);
    expect(stdout).toMatch(/^Examples:\n {2}fluent-forward doctor /m);
  });

  test.concurrent('a reader that goes away ends it without a word', LIMIT, async () => {
    const receiver = await listen();
    const command = `"$0" dist/esm/cli/main.js doctor --endpoint ${receiver.endpoint} | head -n 1; echo "\${PIPESTATUS[0]}"`;
    const child = spawn('bash', ['-c', command, process.execPath], { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    child.stdout.on('data', (data) => {
      output += data;
    });
    child.stderr.on('data', (data) => {
      output += data;
    });
    await once(child, 'close');
    expect(output).toMatch(/^Sending test records .+\n1\n$/);
  });
});
