import { mkdtempSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { diag } from '@opentelemetry/api';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { FluentForwardLogExporter, type FluentForwardLogExporterOptions } from '../../../src/index.ts';
import { Authority, type Pair } from '../../support/certificates.ts';
import { until } from '../../support/fake-clock.ts';
import { exportBodies, type LogLine, type Result, recordDiag } from '../../support/harness.ts';
import { LONG_LIMITS } from '../../support/long-limits.ts';
import { Fluentd } from './fluentd.ts';

const VERSIONS = ['TLSv1_2', 'TLSv1_3'] as const;
const KEY = 'a shared kéy';
/** A chunk may be reported as refused after five connections without an ack: one more than that. */
const FAULTS = 6;

const log: LogLine[] = [];
/** The exporter's messages, without debug messages and those of a first connection. */
const messages = () =>
  log
    .filter(([level, text]) => level !== 'debug' && !/connected to \S+( \(\S+\))?$/.test(text))
    .map(([, text]) => text);

beforeEach(() => {
  log.length = 0;
  recordDiag(log);
});
afterEach(() => diag.disable());

let directory: string;
let authority: Authority;
let client: Pair;
let expired: Pair;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'secure-'));
  authority = await Authority.create();
  client = await authority.issue({ names: ['first client'] });
  expired = await authority.issue({ names: ['expired client'], fromDay: -2, toDay: -1 });
  const server = await authority.issue();
  file('ca.pem', authority.cert);
  file('server.pem', server.cert);
  file('server.key', server.key);
});

/** Writes or replaces a file, which nobody ever reads in part. */
function file(name: string, content: string): string {
  const path = join(directory, name);
  writeFileSync(`${path}.new`, content);
  renameSync(`${path}.new`, path);
  return path;
}

function security(key = KEY, more = ''): string {
  return `<security>
    self_hostname receiver
    shared_key ${key}
    ${more}
  </security>`;
}

function transport(version: (typeof VERSIONS)[number], more = ''): string {
  return `<transport tls>
    cert_path ${directory}/server.pem
    private_key_path ${directory}/server.key
    version ${version}
    ${more}
  </transport>`;
}

/** Has Fluentd ask its clients for certificates, and write the subjects it has seen to a file. */
function mutual(version: (typeof VERSIONS)[number], seen = file('seen.txt', '')): string {
  const verifier = file(
    'verifier.rb',
    `lambda { |ok, context|
      File.write('${seen}', context.current_cert.subject.to_s + "\\n", mode: 'a') if context.error_depth == 0
      ok
    }`,
  );
  return transport(version, `client_cert_auth true\n ca_path ${directory}/ca.pem\n cert_verifier ${verifier}`);
}

/** Exports over and over, eight at a time, until its end. */
class ExportLoop {
  readonly failures: unknown[] = [];
  readonly exporter: FluentForwardLogExporter;
  exported = 0;
  acknowledged = 0;
  #isEnded = false;
  readonly #running: Promise<unknown>;

  constructor(options: FluentForwardLogExporterOptions) {
    this.exporter = new FluentForwardLogExporter({ ...LONG_LIMITS, ...options });
    this.#running = Promise.all(Array.from({ length: 8 }, () => this.#run()));
  }

  async #run(): Promise<void> {
    while (!this.#isEnded) {
      const { error } = await exportBodies(this.exporter, `record ${this.exported++}`);
      if (error === undefined) this.acknowledged++;
      else this.failures.push(error);
    }
  }

  async flow(): Promise<void> {
    const goal = this.acknowledged + 300;
    await until(() => this.acknowledged >= goal);
  }

  async end(): Promise<void> {
    this.#isEnded = true;
    await this.#running;
    await this.exporter.shutdown();
  }

  /** Stops Fluentd and compares what it has with what was exported. */
  async compare(fluentd: Fluentd): Promise<void> {
    expect(this.failures).toEqual([]);
    expect(this.acknowledged).toBe(this.exported);
    const received = (await fluentd.output()).map((line) => (JSON.parse(line) as { message: string }).message);
    expect(new Set(received).size).toBe(this.exported);
  }
}

/** The result of one export. */
async function once(options: FluentForwardLogExporterOptions): Promise<Result> {
  const exporter = new FluentForwardLogExporter({ ...LONG_LIMITS, ...options });
  const result = await exportBodies(exporter, 'once');
  await exporter.shutdown();
  return result;
}

/** Exports a record, gives it up after so many faults of its connections, and returns the cause of the failure. */
async function failure(
  options: FluentForwardLogExporterOptions,
  faults: number = 1,
): Promise<{ code: string; message: string }> {
  const exporter = new FluentForwardLogExporter({ ...LONG_LIMITS, flushTimeoutMillis: 1, ...options });
  let isOver = false;
  const result = exportBodies(exporter, 'once').finally(() => {
    isOver = true;
  });
  // Each fault is an object of its own.
  const seen = new Set<unknown>();
  await until(() => {
    const { lastError } = exporter.stats();
    if (lastError !== undefined) seen.add(lastError);
    return isOver || seen.size >= faults;
  });
  await exporter.shutdown();
  const { error } = await result;
  return error?.cause as Error & { code: string };
}

/** The warnings and errors of Fluentd, without those about the test's own certificate. */
function complaints(fluentd: Fluentd): string[] {
  return fluentd.complaints.filter((line) => !line.includes('private_key_passphrase'));
}

/** Fluentd's warning about a dial that a shutdown ends in the TLS handshake, which cannot be ended in another way. */
const CUT_OFF = 'before accepting TLS connection';

describe('a shared key', () => {
  test('Fluentd accepts the right shared key and user, and the exporter reports wrong or missing ones', async () => {
    const user = '<user>\n username alice\n password "p w"\n </user>';
    const fluentd = await Fluentd.start({ source: security(KEY, `user_auth true\n ${user}`) });
    const { endpoint } = fluentd;
    const right = { endpoint, sharedKey: KEY, username: 'alice', password: 'p w' };
    expect((await once(right)).code).toBe(0);
    expect(messages()).toEqual([]);
    expect(await failure({ ...right, sharedKey: 'another' })).toMatchObject({
      code: 'FLUENT_FORWARD_AUTH_FAILED',
      message: `${endpoint}: the server refuses this client: "shared_key mismatch"; check sharedKey`,
    });
    for (const wrong of [{ password: 'another' }, { username: 'bob' }, { username: undefined, password: undefined }]) {
      expect(await failure({ ...right, ...wrong })).toMatchObject({
        code: 'FLUENT_FORWARD_AUTH_FAILED',
        message: `${endpoint}: the server refuses this client: "username/password mismatch"; check username and password`,
      });
    }
    expect(await failure({ endpoint })).toMatchObject({
      code: 'FLUENT_FORWARD_AUTH_FAILED',
      message: expect.stringContaining('the server sent HELO: it wants a shared key; set sharedKey'),
    });
    expect(await failure({ ...right, hostname: 'receiver' })).toMatchObject({
      code: 'FLUENT_FORWARD_SERVER_UNTRUSTED',
    });
    expect(await fluentd.output()).toHaveLength(1);
  });

  test('the exporter reports that Fluentd wants no shared key if HELO does not come', async () => {
    const { endpoint } = await Fluentd.start();
    expect(await failure({ endpoint, sharedKey: KEY, connectTimeoutMillis: 500 })).toMatchObject({
      code: 'FLUENT_FORWARD_CONNECT_TIMEOUT',
      message: expect.stringContaining('no HELO within 500 ms: the server wants no shared key; remove sharedKey'),
    });
  });

  test('the exporter loses nothing when the shared key changes while records flow', async () => {
    const fluentd = await Fluentd.start({ source: security('the old key') });
    const path = file('key', 'the old key\n');
    process.env.OTEL_EXPORTER_FLUENT_FORWARD_SHARED_KEY_FILE = path;
    // Longer than Fluentd takes to restart on a busy machine.
    const stream = new ExportLoop({ endpoint: fluentd.endpoint, timeoutMillis: 100_000 });
    delete process.env.OTEL_EXPORTER_FLUENT_FORWARD_SHARED_KEY_FILE;
    await stream.flow();
    await fluentd.kill('SIGTERM');
    fluentd.configure(security('the new key'));
    await fluentd.start();
    await until(() => messages().some((text) => text.includes('"shared_key mismatch"; check sharedKey')));
    file('key', 'the new key\n');
    await stream.flow();
    await stream.end();
    expect(messages().at(-1)).toMatch(/connected to .* again after .* 0 failed$/);
    await stream.compare(fluentd);
  });

  test('the exporter sends one message on each connection if HELO denies keepalive', async () => {
    const fluentd = await Fluentd.start({ source: `deny_keepalive true\n ${security()}` });
    const stream = new ExportLoop({ endpoint: fluentd.endpoint, sharedKey: KEY });
    await stream.flow();
    await stream.end();
    expect(messages()).toEqual([]);
    expect(fluentd.acks).toHaveLength(stream.exported);
    expect(fluentd.connections).toBe(stream.exported);
    await stream.compare(fluentd);
  });
});

// In TLS 1.2 the server's part is over first.
test('Fluentd logs no error but a cut-off dial when the exporter shuts down in a handshake', async () => {
  const fluentd = await Fluentd.start({ source: `${transport('TLSv1_3')}\n ${security()}` });
  const options = { endpoint: fluentd.tlsEndpoint, tls: { ca: authority.cert }, sharedKey: KEY };
  const dial = () => {
    const exporter = new FluentForwardLogExporter({ ...LONG_LIMITS, ...options, flushTimeoutMillis: 1 });
    return { exporter, result: exportBodies(exporter, 'cut off') };
  };
  // How long a dial takes on this machine; the first one takes longer.
  let dialMillis = Number.POSITIVE_INFINITY;
  for (let n = 0; n < 3; n++) {
    const startedAt = performance.now();
    const { exporter, result } = dial();
    await until(() => exporter.stats().connections.some(({ state }) => state === 'open'));
    dialMillis = Math.min(dialMillis, performance.now() - startedAt);
    await result;
    await exporter.shutdown();
  }
  // From the dial's first moment to its last, and beyond.
  for (let n = 0; n < 30; n++) {
    const { exporter, result } = dial();
    await sleep((n / 15) * dialMillis);
    await exporter.shutdown();
    await result;
  }
  await fluentd.output();
  expect(complaints(fluentd).filter((line) => !line.includes(CUT_OFF))).toEqual([]);
});

describe.each(VERSIONS)('the TLS version %s', (version) => {
  const ca = () => ({ ca: authority.cert });

  test(`records arrive over rotating connections with a shared key in ${version}`, async () => {
    const fluentd = await Fluentd.start({ source: `${transport(version)}\n ${security()}` });
    const stream = new ExportLoop({
      endpoint: fluentd.tlsEndpoint,
      tls: ca(),
      sharedKey: KEY,
      rotationIntervalMillis: 200,
    });
    await fluentd.until(() => fluentd.connections >= 5);
    await stream.flow();
    expect(complaints(fluentd)).toEqual([]);
    await stream.end();
    expect(messages()).toEqual([]);
    await stream.compare(fluentd);
  });

  test(`Fluentd accepts a valid client certificate, and the exporter reports an expired or missing one in ${version}`, async () => {
    const fluentd = await Fluentd.start({ source: mutual(version) });
    const endpoint = fluentd.tlsEndpoint;
    expect((await once({ endpoint, tls: { ...ca(), ...client } })).code).toBe(0);
    expect(messages()).toEqual([]);
    const cert = file('expired.pem', expired.cert);
    expect(await failure({ endpoint, tls: { ...ca(), cert, key: expired.key } }, FAULTS)).toMatchObject({
      code: 'FLUENT_FORWARD_TLS_FAILED',
      message: expect.stringMatching(
        // The reset can overtake the alert.
        /(\(certificate expired\); look at|right after the TLS handshake; it probably refuses) this client's certificate, tls\.cert \(.*expired\.pem\)$/,
      ),
    });
    expect(await failure({ endpoint, tls: ca() }, FAULTS)).toMatchObject({
      code: 'FLUENT_FORWARD_TLS_FAILED',
      message: expect.stringMatching(/it probably wants a client certificate \(tls\.cert and tls\.key\)$/),
    });
    expect(messages().join()).not.toContain('refuse it');
    expect(await fluentd.output()).toHaveLength(1);
  });

  test(`the exporter reports a server that may want TLS when it dials without TLS in ${version}`, async () => {
    const fluentd = await Fluentd.start({ source: `${transport(version)}\n ${security()}` });
    expect(await failure({ endpoint: fluentd.endpoint })).toMatchObject({
      code: 'FLUENT_FORWARD_CONNECTION_LOST',
      message: expect.stringMatching(/connection before it said anything; is it overloaded, or does it want TLS/),
    });
  });
});

test('the exporter reports a server without TLS when it dials with TLS', async () => {
  const fluentd = await Fluentd.start({ source: security() });
  expect(await failure({ endpoint: fluentd.tlsEndpoint, tls: { ca: authority.cert } })).toMatchObject({
    code: 'FLUENT_FORWARD_TLS_FAILED',
    message: expect.stringMatching(
      // Its HELO is no TLS, and the reset that follows can overtake it.
      /the server does not answer in TLS; does it want tcp:\/\/\?|connection in the TLS handshake; does it speak TLS there/,
    ),
  });
});

test('the exporter loses nothing when certificates are replaced while records flow', async () => {
  const seen = file('seen.txt', '');
  const fluentd = await Fluentd.start({ source: mutual('TLSv1_3', seen) });
  const count = (name: string) => readFileSync(seen, 'utf8').split(`/CN=${name}\n`).length - 1;
  const cert = file('client.pem', client.cert);
  const key = file('client.key', client.key);
  const ca = file('trusted.pem', authority.cert);
  const stream = new ExportLoop({
    endpoint: fluentd.tlsEndpoint,
    tls: { ca, cert, key },
    rotationIntervalMillis: 200,
  });
  await stream.flow();
  await until(() => count('first client') >= 2);
  const renewed = await authority.issue({ names: ['renewed client'] });
  // Not at once, as where two files cannot be replaced together; and the authority's is cut for a while.
  file('client.pem', renewed.cert);
  const before = fluentd.connections;
  await fluentd.until(() => fluentd.connections >= before + 2);
  file('client.key', renewed.key);
  await until(() => count('renewed client') >= 2);
  file('trusted.pem', authority.cert.slice(0, 200));
  const cut = fluentd.connections;
  await fluentd.until(() => fluentd.connections >= cut + 2);
  file('trusted.pem', authority.cert);
  await stream.flow();
  await stream.end();
  expect(messages()).toEqual([
    expect.stringMatching(
      /client\.pem\) and tls\.key \(.*client\.key\) cannot be used .* going on with the last good ones$/,
    ),
  ]);
  await stream.compare(fluentd);
});
