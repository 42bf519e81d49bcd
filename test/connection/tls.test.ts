import { execFileSync } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer as createTlsServer, type TLSSocket, type TlsOptions } from 'node:tls';
import { beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import type { TlsOptions as ClientTlsOptions, FluentForwardLogExporterOptions } from '../../src/index.ts';
import type { ForwardReceiver } from '../../src/testing/index.ts';
import { Authority, type Pair } from '../support/certificates.ts';
import { DnsServer } from '../support/dns-server.ts';
import { advanceUntil, exporterFixture, named, sendOver } from '../support/exporter-fixture.ts';
import { settle, until } from '../support/fake-clock.ts';
import { LONG_LIMIT_VARIABLES } from '../support/long-limits.ts';
import { expectProcessWarning } from '../support/process-warnings.ts';
import { runProgram } from '../support/run-program.ts';
import { resolveIn, SDK_LINE } from '../support/sdk-line.ts';
import { untilStuck } from '../support/stuck-sockets.ts';

const { listen, start, warnings, log } = exporterFixture();
const unprefixed = () => warnings().map((text) => text.replace(/^opentelemetry-exporter-fluent-forward /, ''));

const VERSIONS = ['TLSv1.2', 'TLSv1.3'] as const;
let authority: Authority;
let server: Pair;
let client: Pair;
let expired: Pair;

beforeAll(async () => {
  authority = await Authority.create();
  server = await authority.issue({ names: ['127.0.0.1', 'receiver.test', '::1'] });
  client = await authority.issue({ names: ['client'] });
  expired = await authority.issue({ names: ['expired client'], fromDay: -2, toDay: -1 });
});

function version(name: (typeof VERSIONS)[number]): TlsOptions {
  return { minVersion: name, maxVersion: name };
}

/** Options of a server that requires client certificates. */
function mutual(name: (typeof VERSIONS)[number]): TlsOptions {
  return { ...server, ca: authority.cert, requestCert: true, rejectUnauthorized: true, ...version(name) };
}

function startWith(receiver: ForwardReceiver, tls: ClientTlsOptions, options: FluentForwardLogExporterOptions = {}) {
  return start({ endpoint: receiver.endpoint, tls: { ca: authority.cert, ...tls }, ...options });
}

/** Exports one record to a receiver that does not take it. The deadline is before a second dial. */
async function fail(options: FluentForwardLogExporterOptions): Promise<{ code: string | undefined; cause: Error }> {
  const timeoutMillis = 50;
  const { clock, send } = start({ ...options, timeoutMillis });
  // The exporter has warned that the deadline is so short.
  log.length = 0;
  const result = send('x');
  await until(() => warnings().length > 0);
  await clock.advance(timeoutMillis);
  const { error } = await result;
  return { code: error?.code, cause: error?.cause as Error };
}

async function failWith(receiver: ForwardReceiver, tls: ClientTlsOptions): Promise<string> {
  const { code, cause } = await fail({ endpoint: receiver.endpoint, tls: { ca: authority.cert, ...tls } });
  expect(code).toBe('FLUENT_FORWARD_TIMEOUT');
  expect(cause).toMatchObject({ code: 'FLUENT_FORWARD_TLS_FAILED' });
  expect(warnings().join()).not.toContain('refuse it');
  expect(receiver.messageCount).toBe(0);
  for (const text of [...log.map(([, logged]) => logged), String(cause.cause)]) expect(text).not.toMatch(/\p{C}/u);
  return cause.message.replace(`${receiver.endpoint}: `, '');
}

/** Opens and closes a FIFO for a reader that waits for a writer, once there is one. The reader finds it empty. */
async function endFifo(path: string): Promise<void> {
  let writer: number | undefined;
  await until(() => {
    try {
      writer = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
    } catch (error) {
      // There is no reader yet.
      if ((error as NodeJS.ErrnoException).code !== 'ENXIO') throw error;
    }
    return writer !== undefined;
  });
  closeSync(writer as number);
}

function file(name: string, content: string): string {
  const path = join(mkdtempSync(join(tmpdir(), 'tls-')), name);
  writeFileSync(path, content);
  return path;
}

/** A connection of a client, as the server sees it. */
interface ClientConnection {
  readonly isReused: boolean;
  readonly alpn: string | false | null;
  readonly serverName: unknown;
  readonly client: string | undefined;
}

/** A TLS server in front of a receiver. It records its connections. */
async function terminator(
  receiver: ForwardReceiver,
  options: TlsOptions,
): Promise<{ endpoint: string; connections: ClientConnection[] }> {
  const connections: ClientConnection[] = [];
  const front = createTlsServer(options, (socket) => {
    connections.push({
      isReused: socket.isSessionReused(),
      alpn: socket.alpnProtocol,
      serverName: (socket as TLSSocket & { servername: unknown }).servername,
      client: socket.getPeerCertificate().subject?.CN as string | undefined,
    });
    const inner = connect(receiver.port, '127.0.0.1');
    for (const end of [socket, inner]) end.on('error', () => {});
    socket.pipe(inner).pipe(socket);
  });
  await new Promise<void>((done) => front.listen(0, '127.0.0.1', done));
  onTestFinished(() => void front.close());
  const { port } = front.address() as { port: number };
  return { endpoint: `tls://127.0.0.1:${port}`, connections };
}

describe.each(VERSIONS)('a receiver in %s', (name) => {
  it('the exporter delivers over rotating TLS connections', async () => {
    const receiver = await listen({ tls: { ...server, ...version(name) } });
    const made = startWith(receiver, {}, { rotationIntervalMillis: 1_000 });
    expect(receiver.endpoint).toMatch(/^tls:/);
    expect((await made.send('a')).code).toBe(0);
    await made.clock.advance(500);
    await sendOver(1, made, receiver);
    expect(warnings()).toEqual([]);
  });

  it('the exporter delivers a large chunk and several chunks in one turn over TLS', async () => {
    const receiver = await listen({ tls: { ...server, ...version(name) } });
    const { send } = startWith(receiver, {}, { maxChunkBytes: 6_000_000, maxStringBytes: 6_000_000 });
    const results = await Promise.all([send('x'.repeat(5_000_000)), send('a'), send('b')]);
    expect(results.map(({ code }) => code)).toEqual([0, 0, 0]);
  });

  it('the exporter delivers over TLS with a shared key', async () => {
    const receiver = await listen({
      tls: { ...server, ...version(name) },
      security: { sharedKey: 'k', style: 'fluent-bit', users: { u: 'p' } },
    });
    const { send } = startWith(receiver, {}, { sharedKey: 'k', username: 'u', password: 'p' });
    expect((await send('a')).code).toBe(0);
    expect(warnings()).toEqual([]);
  });

  it('the exporter reports why its login is refused although the TLS connection closes at once', async () => {
    const receiver = await listen({
      tls: { ...server, ...version(name) },
      security: { sharedKey: 'k', users: { u: 'p' } },
    });
    const { cause } = await fail({ endpoint: receiver.endpoint, tls: { ca: authority.cert }, sharedKey: 'k' });
    expect(cause.message).toContain('"username/password mismatch"; check username and password');
  });

  it('each connection makes a full TLS handshake with the server name and without ALPN', async () => {
    const receiver = await listen();
    const options = { ...server, ...version(name), ALPNProtocols: ['x'] };
    const { endpoint, connections } = await terminator(receiver, options);
    const made = start({
      endpoint,
      tls: { ca: authority.cert, serverName: 'receiver.test' },
      rotationIntervalMillis: 1_000,
    });
    await made.send('a');
    for (let connection = 1; connection <= 3; connection++) {
      await made.clock.advance(1_100);
      await sendOver(connection, made, receiver);
    }
    expect(connections).toEqual(
      Array(4).fill({ isReused: false, alpn: false, serverName: 'receiver.test', client: undefined }),
    );
  });

  it('the exporter delivers with a client certificate', async () => {
    const receiver = await listen({ tls: mutual(name) });
    const { send } = startWith(receiver, client);
    expect((await send('a')).code).toBe(0);
    expect(warnings()).toEqual([]);
  });

  it('the exporter reports that the server probably wants a client certificate', async () => {
    const receiver = await listen({ tls: mutual(name) });
    expect(await failWith(receiver, {})).toBe(
      name === 'TLSv1.2'
        ? 'the server refuses the TLS handshake (handshake failure); it probably wants a client certificate (tls.cert and tls.key)'
        : 'the server refuses the TLS handshake (certificate required); it probably wants a client certificate (tls.cert and tls.key)',
    );
    expect(warnings()[0]).toMatch(
      /; 1 record\(s\) wait, and the next try is in \d+ ms$|; 1 unacknowledged record\(s\) in 1 chunk\(s\) will be sent again/,
    );
  });

  it('the exporter names the client certificate file if the server closes without an alert', async () => {
    const receiver = await listen({ tls: mutual(name) });
    const cert = file('client.pem', expired.cert);
    const message = await failWith(receiver, { cert, key: expired.key });
    expect(message).toMatch(
      name === 'TLSv1.2'
        ? /^the server (closed|reset) the connection in the TLS handshake; .* does it want a client certificate\?$/
        : /^the server (closed|reset) the connection right after the TLS handshake; it probably refuses this client's certificate, tls\.cert \(.*client\.pem\)$/,
    );
  });

  it('a refused client certificate never counts as a refused chunk', async () => {
    let ended = 0;
    const front = createTlsServer(mutual(name), (socket) => socket.on('error', () => {}));
    front.on('connection', (socket: Socket) => socket.once('close', () => ended++));
    await new Promise<void>((done) => front.listen(0, '127.0.0.1', done));
    onTestFinished(() => void front.close());
    const { port } = front.address() as { port: number };
    const made = start({ endpoint: `tls://127.0.0.1:${port}`, tls: { ca: authority.cert, ...expired } });
    let isDone = false;
    const result = made.send('x').finally(() => {
      isDone = true;
    });
    await advanceUntil(made, 1_000, () => isDone);
    expect((await result).error?.code).toBe('FLUENT_FORWARD_TIMEOUT');
    await until(() => ended >= 4);
    expect(warnings().join()).not.toContain('refuse it');
  });

  it('the exporter rejects an unknown authority unless insecureSkipVerify is set', async () => {
    const other = await Authority.create('another');
    const receiver = await listen({ tls: { ...server, ...version(name) } });
    const ca = file('ca.pem', other.cert);
    expect(await failWith(receiver, { ca })).toBe(
      `the server's certificate is by an authority that is not in tls.ca (${ca}); tls.ca has to hold it`,
    );
    const { send } = startWith(receiver, { ca: other.cert, insecureSkipVerify: true });
    expect((await send('a')).code).toBe(0);
  });

  it('exports do not wait for the TLS handshake of a successor connection', async () => {
    let shakes = 0;
    const receiver = await listen({
      tls: {
        ...server,
        ...version(name),
        // The first handshake goes on, the second one never.
        SNICallback: (_, done) => {
          if (++shakes === 1) done(null);
        },
      },
    });
    const { clock, send } = startWith(receiver, { serverName: 'receiver.test' }, { rotationIntervalMillis: 20_000 });
    expect((await send('a')).code).toBe(0);
    await clock.advance(10_000);
    await until(() => shakes === 2);
    // No time passes on the clock: what had to wait for the handshake would wait for ever.
    for (let i = 0; i < 20; i++) expect((await send(i)).code).toBe(0);
    expect(receiver.connectionCount).toBe(1);
    await clock.advance(5_000);
    expect(log.map(([, text]) => text)).toContainEqual(
      expect.stringMatching(
        /the TLS handshake took longer than 5000 ms; does the server speak TLS there\?; .*the connection in use stays/,
      ),
    );
    expect((await send('b')).code).toBe(0);
  });

  it('the exporter reports a TLS server that stops reading, and resends the chunk', async () => {
    const receiver = await listen({
      tls: { ...server, ...version(name) },
      connectionFaults: [{ kind: 'stop reading', afterBytes: 1_000 }],
    });
    const limits = { ackTimeoutMillis: 2_000, maxChunkBytes: 6_000_000, maxStringBytes: 6_000_000 };
    const dial = vi.spyOn(Socket.prototype, 'connect');
    const { clock, send } = startWith(receiver, {}, limits);
    const result = send('x'.repeat(5_900_000));
    await untilStuck(() => dial.mock.contexts as Socket[]);
    dial.mockRestore();
    await clock.advance(2_000);
    expect(warnings()[0]).toContain('the server has read nothing for 2000 ms');
    expect((await result).code).toBe(0);
    expect(receiver.messages.map(({ connection }) => connection)).toEqual([1]);
  });
});

describe('server certificates', () => {
  it.each<[string, () => Promise<Pair>, RegExp, ClientTlsOptions?]>([
    [
      'expired',
      () => authority.issue({ fromDay: -3, toDay: -2 }),
      /^the server's certificate, or one above it, has expired$/,
    ],
    [
      'not valid yet',
      () => authority.issue({ fromDay: 2, toDay: 3 }),
      /^the server's certificate, or one above it, is not valid yet$/,
    ],
    [
      'for another host',
      () => authority.issue({ names: ['127.0.0.2', 'other.test'] }),
      /^the server's certificate is for IP Address:127\.0\.0\.2, DNS:other\.test, and not for 127\.0\.0\.1; is tls\.serverName right\?$/,
    ],
    [
      'only the common name of another host',
      () => authority.issue({ names: [], commonName: 'common.test' }),
      /^the server's certificate is for common\.test, and not for receiver\.test; is tls\.serverName right\?$/,
      { serverName: 'receiver.test' },
    ],
    [
      'an alternative name with terminal control characters',
      () => authority.issue({ names: ['\u001b[31m\nb.test', 'c.test'] }),
      /^the server's certificate is for [\x20-\x7e]*, and not for 127\.0\.0\.1/,
    ],
    [
      'a common name with terminal control characters',
      () => authority.issue({ names: [], commonName: '\u001b[31m\u202eb.test' }),
      /^the server's certificate is for \\u\{1b\}\[31m\\u\{202e\}b\.test, and not for receiver\.test/,
      { serverName: 'receiver.test' },
    ],
    [
      'issued by another authority of the same name',
      async () => (await Authority.create()).issue(),
      /^the server's certificate is by an authority that is not in tls\.ca; tls\.ca has to hold it$/,
    ],
  ])('the exporter rejects a bad server certificate: %s', async (_, issue, message, tls = {}) => {
    const receiver = await listen({ tls: await issue() });
    expect(await failWith(receiver, tls)).toMatch(message);
  });

  it('the exporter trusts only the authorities of Node.js if tls.ca is not set', async () => {
    const receiver = await listen({ tls: server });
    expect(await failWith(receiver, { ca: undefined })).toMatch(
      /authority that is not in Node\.js's own list; tls\.ca/,
    );
  });

  it('the exporter verifies server certificates even if NODE_TLS_REJECT_UNAUTHORIZED is 0', async () => {
    expectProcessWarning(/NODE_TLS_REJECT_UNAUTHORIZED/);
    vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0');
    const receiver = await listen({ tls: server });
    await failWith(receiver, { ca: undefined });
  });

  it('a server certificate has to name the host of the endpoint, not its address', async () => {
    const names: string[] = [];
    const SNICallback: TlsOptions['SNICallback'] = (name, done) => {
      names.push(name);
      done(null);
    };
    const receiver = await listen({ tls: { ...server, SNICallback } });
    const { send } = start({ ...named(receiver), endpoint: 'tls://receiver.test.', tls: { ca: authority.cert } });
    expect((await send('a')).code).toBe(0);
    // SNI has no place for the dot of the root.
    expect(names).toEqual(['receiver.test']);
    const { cause } = await fail({ ...named(receiver), endpoint: 'tls://other.test', tls: { ca: authority.cert } });
    expect(cause.message).toContain('and not for other.test; is tls.serverName right?');
  });

  it('a server certificate has to name tls.serverName if set, also an IP address', async () => {
    const receiver = await listen({ tls: server });
    const at = { ...named(receiver), endpoint: 'tls://other.test' };
    for (const serverName of ['receiver.test', '127.0.0.1', '::1']) {
      const { send } = start({ ...at, tls: { ca: authority.cert, serverName } });
      expect((await send('a')).code).toBe(0);
    }
    const { cause } = await fail({ ...at, tls: { ca: authority.cert, serverName: '10.0.0.1' } });
    expect(cause.message).toContain('and not for 10.0.0.1;');
  });
});

describe('servers without the expected TLS', () => {
  it('the exporter reports a server that does not answer in TLS', async () => {
    const receiver = await listen({ security: { sharedKey: 'k' } });
    const { cause } = await fail({ endpoint: receiver.endpoint.replace('tcp', 'tls'), tls: { ca: authority.cert } });
    expect(cause).toMatchObject({
      code: 'FLUENT_FORWARD_TLS_FAILED',
      message: expect.stringContaining('the server does not answer in TLS; does it want tcp://?'),
    });
  });

  it('the exporter reports a TLS handshake timeout if the server sends nothing', async () => {
    const silent = createServer(() => {});
    await new Promise<void>((done) => silent.listen(0, '127.0.0.1', done));
    onTestFinished(() => void silent.close());
    const { port } = silent.address() as { port: number };
    const { clock, send } = start({
      endpoint: `tls://127.0.0.1:${port}`,
      tls: { ca: authority.cert },
      timeoutMillis: 6_000,
    });
    const result = send('x');
    await new Promise((done) => silent.once('connection', done));
    await settle();
    await clock.advance(6_000);
    expect((await result).error?.cause).toMatchObject({
      code: 'FLUENT_FORWARD_CONNECT_TIMEOUT',
      message: expect.stringMatching(/the TLS handshake took longer than 5000 ms; does the server speak TLS there\?$/),
    });
  });

  it('the exporter reports a server that closes in the TLS handshake', async () => {
    const receiver = await listen({ connectionFaults: () => ({ kind: 'close', afterBytes: 1 }) });
    const { cause } = await fail({ endpoint: receiver.endpoint.replace('tcp', 'tls'), tls: { ca: authority.cert } });
    expect(cause.message).toMatch(
      /the server (closed|reset) the connection in the TLS handshake; does it speak TLS there, and does it want a client certificate\?/,
    );
  });

  it('the exporter reports a server whose TLS version is below tls.minVersion', async () => {
    const receiver = await listen({ tls: { ...server, ...version('TLSv1.2') } });
    expect(await failWith(receiver, { minVersion: 'TLSv1.3' })).toBe(
      'the server speaks no version of TLS from tls.minVersion on',
    );
  });

  it('the exporter without TLS reports that the server wants TLS', async () => {
    // What OpenSSL answers to what is not TLS, from a server that wants it.
    const alert = Buffer.from('15030100020246', 'hex');
    const receiver = await listen({ messageFaults: () => ({ kind: 'garbage', bytes: alert }) });
    const { cause } = await fail({ endpoint: receiver.endpoint });
    expect(cause.message).toContain(
      'the server answered with what looks like a TLS alert: it wants tls:// in place of tcp://',
    );
  });

  it('the reset of a connection that has worked is not reported as a TLS problem', async () => {
    const receiver = await listen({ messageFaults: [undefined, { kind: 'reset', when: 'before ack' }] });
    const { clock, send } = start({ endpoint: receiver.endpoint });
    expect((await send('a')).code).toBe(0);
    const result = send('b');
    await until(() => warnings().length > 0);
    expect(warnings()[0]).toContain('the server reset the connection; 1 unacknowledged record');
    await clock.advance(100);
    expect((await result).code).toBe(0);
  });
});

describe('certificates of the exporter', () => {
  it('the exporter reads its certificate files again at each dial', async () => {
    const receiver = await listen();
    const { endpoint, connections } = await terminator(receiver, mutual('TLSv1.3'));
    const cert = file('cert.pem', client.cert);
    const key = file('key.pem', client.key);
    const made = start({ endpoint, tls: { ca: authority.cert, cert, key }, rotationIntervalMillis: 1_000 });
    await made.send('a');
    const renewed = await authority.issue({ names: ['renewed client'] });
    writeFileSync(cert, renewed.cert);
    writeFileSync(key, renewed.key);
    await made.clock.advance(1_000);
    await sendOver(1, made, receiver);
    // The next renewal has replaced only one of the files so far.
    writeFileSync(cert, client.cert);
    await made.clock.advance(1_100);
    await sendOver(2, made, receiver);
    expect(unprefixed()).toEqual([expect.stringMatching(/key values mismatch\); going on with the last good ones$/)]);
    writeFileSync(key, client.key);
    await made.clock.advance(1_100);
    await sendOver(3, made, receiver);
    const names = connections.map(({ client: name }) => name);
    expect(names).toEqual(['client', 'renewed client', 'renewed client', 'client']);
  });

  it.each<[string, (paths: { ca: string; cert: string; key: string }) => void, RegExp]>([
    [
      'the certificate of another key',
      ({ cert }) => writeFileSync(cert, expired.cert),
      /cert\.pem\) and tls\.key \(.*key\.pem\) cannot be used .*key values mismatch/,
    ],
    [
      'a missing file',
      ({ cert }) => rmSync(cert),
      /^tls:\S+: the certificates cannot be read anew \(tls\.cert \(.*cert\.pem\): ENOENT: no such file or directory/,
    ],
    [
      'an empty file',
      ({ key }) => writeFileSync(key, ''),
      /^tls:\S+: the certificates cannot be read anew \(tls\.key \(.*key\.pem\): there is no PEM text in it/,
    ],
    [
      'a file without a certificate',
      ({ ca }) => writeFileSync(ca, client.key),
      /^tls:\S+: the certificates cannot be read anew \(tls\.ca \(.*ca\.pem\) does not hold whole certificates/,
    ],
    [
      'a certificate that is cut off',
      ({ ca }) => writeFileSync(ca, `${authority.cert}${authority.cert.slice(0, -40)}`),
      /^tls:\S+: the certificates cannot be read anew \(tls\.ca \(.*ca\.pem\) does not hold whole certificates/,
    ],
    [
      'a damaged certificate',
      ({ ca }) => writeFileSync(ca, authority.cert.replace(/MII/, 'XXX')),
      /^tls:\S+: the certificates cannot be read anew \(tls\.ca \(.*ca\.pem\) holds what is no certificate/,
    ],
    [
      'two certificates without a line break between them',
      ({ ca }) => writeFileSync(ca, `${client.cert}${authority.cert}`),
      /\(tls\.ca \(.*ca\.pem\): line \d+ has more than -----BEGIN …----- or -----END …-----, which must be on a line of its own\)/,
    ],
    [
      'a certificate in quotes',
      ({ cert }) => writeFileSync(cert, `"${client.cert}"`),
      /\(tls\.cert \(.*cert\.pem\): line 1 has more than -----BEGIN …----- or -----END …-----, which must be on a line of its own\)/,
    ],
    [
      'a second certificate without its beginning',
      ({ cert }) => writeFileSync(cert, `${client.cert}\n${authority.cert.slice(1)}`),
      /\(tls\.cert \(.*cert\.pem\): a block in it has no -----BEGIN …----- or no -----END …-----\)/,
    ],
    [
      'a key with \\n in place of line breaks',
      ({ key }) => writeFileSync(key, client.key.replaceAll('\n', '\\n')),
      /\(tls\.key \(.*key\.pem\): it has the two characters \\n in place of line breaks\)/,
    ],
  ])('the exporter warns about bad files and keeps the last good certificates: %s', async (_, damage, reason) => {
    const receiver = await listen({ tls: mutual('TLSv1.3') });
    const paths = {
      ca: file('ca.pem', authority.cert),
      cert: file('cert.pem', client.cert),
      key: file('key.pem', client.key),
    };
    const { clock, send } = start({ endpoint: receiver.endpoint, tls: paths, rotationIntervalMillis: 1_000 });
    expect((await send('a')).code).toBe(0);
    damage(paths);
    await clock.advance(500);
    await until(() => receiver.connectionCount === 2);
    expect(unprefixed()).toEqual([expect.stringMatching(reason)]);
    expect(warnings()[0]).toMatch(/\); going on with the last good ones$/);
    expect((await send('b')).code).toBe(0);
  });

  it('dials fail until the certificate files are usable, and no address counts as failed', async () => {
    const receiver = await listen({ tls: mutual('TLSv1.3') });
    const missing = join(mkdtempSync(join(tmpdir(), 'tls-')), 'cert.pem');
    const { clock, send } = startWith(receiver, { cert: missing, key: client.key });
    const result = send('a');
    await until(() => warnings().length > 0);
    expect(unprefixed()[0]?.replace(/\d+ ms$/, '… ms')).toBe(
      `${receiver.endpoint}: tls.cert (${missing}): ENOENT: no such file or directory; 1 record(s) wait, and the next try is in … ms`,
    );
    writeFileSync(missing, client.cert);
    await clock.advance(100);
    expect((await result).code).toBe(0);
    expect(receiver.connectionCount).toBe(1);
  });

  it('the error code of unreadable certificates is FLUENT_FORWARD_CREDENTIALS_UNREADABLE', async () => {
    const receiver = await listen({ tls: server });
    const { cause } = await fail({ ...named(receiver), endpoint: 'tls://fluent', tls: { ca: '/nonexistent/ca.pem' } });
    expect(cause).toMatchObject({
      code: 'FLUENT_FORWARD_CREDENTIALS_UNREADABLE',
      // The address did not fail, so the message does not name it.
      message: 'tls://fluent:24224: tls.ca (/nonexistent/ca.pem): ENOENT: no such file or directory',
    });
  });

  it('the exporter uses an encrypted private key with the right tls.passphrase', async () => {
    const receiver = await listen({ tls: mutual('TLSv1.3') });
    const locked = await authority.issue({ names: ['locked'], passphrase: 'a passphrase' });
    const { send } = startWith(receiver, { ...locked, passphrase: 'a passphrase' });
    expect((await send('a')).code).toBe(0);
    const given = startWith(receiver, { ...locked, passphrase: async () => 'a passphrase' });
    expect((await given.send('a')).code).toBe(0);
    for (const passphrase of ['another', undefined]) {
      log.length = 0;
      const { cause } = await fail({ endpoint: receiver.endpoint, tls: { ...locked, ca: authority.cert, passphrase } });
      expect(cause.message).toMatch(
        /: tls\.cert and tls\.key cannot be used \(does the key belong to the certificate, and is tls\.passphrase that of the key\?\): /,
      );
      expect(cause.message).not.toContain('another');
    }
  });

  it('a dial fails after connectTimeoutMillis while a certificate file is still being read', async () => {
    const receiver = await listen({ tls: server });
    // A reader of a FIFO waits for a writer.
    const path = join(mkdtempSync(join(tmpdir(), 'tls-')), 'ca.pem');
    execFileSync('mkfifo', [path]);
    onTestFinished(() => endFifo(path));
    const { clock, send } = startWith(receiver, { ca: path }, { timeoutMillis: 6_000 });
    const result = send('a');
    await settle();
    await clock.advance(6_000);
    expect((await result).error?.cause).toMatchObject({
      code: 'FLUENT_FORWARD_CONNECT_TIMEOUT',
      message: `${receiver.endpoint}: reading the certificates and secrets took longer than 5000 ms; no answer from tls.ca (${path})`,
    });
  });

  it('the exporter keeps the last good certificates if reading them again takes too long', async () => {
    const receiver = await listen({ tls: server });
    const give = vi.fn(async () => authority.cert);
    const made = startWith(receiver, { ca: give }, { rotationIntervalMillis: 20_000 });
    expect((await made.send('a')).code).toBe(0);
    give.mockImplementation(() => new Promise(() => {}));
    for (const connection of [1, 2]) {
      await made.clock.advance(connection === 1 ? 10_000 : 20_000);
      await made.clock.advance(2_500);
      await sendOver(connection, made, receiver);
    }
    expect(unprefixed()).toEqual([
      `${receiver.endpoint}: the certificates cannot be read anew (tls.ca: no answer within 2500 ms); going on with the last good ones`,
    ]);
    // At each dial, also while earlier calls hang.
    expect(give).toHaveBeenCalledTimes(3);
  });
});

it('an idle TLS connection does not keep the process alive', async () => {
  const receiver = await listen({ tls: server });
  // A process that has to be killed has no exit code.
  const ended = await runProgram('test/contract/program.mjs', {
    env: {
      ...LONG_LIMIT_VARIABLES,
      SDK: resolveIn(SDK_LINE, '@opentelemetry/sdk-logs'),
      OTEL_EXPORTER_FLUENT_FORWARD_ENDPOINT: receiver.endpoint,
      OTEL_EXPORTER_FLUENT_FORWARD_CERTIFICATE: file('ca.pem', authority.cert),
    },
  });
  expect(ended).toMatchObject({ code: 0, stdout: '', stderr: '' });
  expect(receiver.entryCount).toBe(3);
});

it('the exporter sets TCP_NODELAY on TLS sockets', async () => {
  const receiver = await listen({ tls: server });
  const noDelay = vi.spyOn(Socket.prototype, 'setNoDelay');
  const { send } = startWith(receiver, {});
  await send('a');
  expect(noDelay).toHaveBeenCalledWith(true);
  vi.restoreAllMocks();
});

describe('TLS with SRV records', () => {
  const NAME = '_forward._tcp.receiver.test';

  it('TLS with SRV records verifies the name without service and protocol, or tls.serverName', async () => {
    const receiver = await listen({ tls: { ...server, ...version('TLSv1.3') } });
    const dns = await DnsServer.start();
    dns.srv.set(NAME, [{ port: receiver.port, target: 'localhost.' }]);
    const trusting = start({ endpoint: `srv+tls://${NAME}`, tls: { ca: authority.cert } });
    expect((await trusting.send('a')).code).toBe(0);
    dns.srv.set('_forward._tcp.other.test', [{ port: receiver.port, target: '127.0.0.1' }]);
    const other = { endpoint: 'srv+tls://_forward._tcp.other.test' };
    const named = start({ ...other, tls: { ca: authority.cert, serverName: 'receiver.test' } });
    expect((await named.send('b')).code).toBe(0);
    expect(receiver.messageCount).toBe(2);
  });

  it('TLS with SRV records rejects a certificate that holds only the target name', async () => {
    // Whoever forges an answer chooses the target name.
    const receiver = await listen({ tls: await authority.issue({ names: ['localhost', '127.0.0.1'] }) });
    const dns = await DnsServer.start();
    dns.srv.set(NAME, [{ port: receiver.port, target: 'localhost.' }]);
    const { cause } = await fail({ endpoint: `srv+tls://${NAME}`, tls: { ca: authority.cert } });
    expect(cause.message).toMatch(/the server's certificate is for .*localhost.*, and not for receiver\.test/);
    expect(receiver.messageCount).toBe(0);
  });
});
