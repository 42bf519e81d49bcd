import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import type { FluentForwardLogExporterOptions } from '../src/index.ts';
import type { ForwardReceiverOptions } from '../src/testing/index.ts';
import { FAULTS, isFault, isMessage, MESSAGES, PLACEHOLDER } from './support/catalogue.ts';
import { Authority } from './support/certificates.ts';
import { exporterFixture, named } from './support/exporter-fixture.ts';
import { type FakeClock, until } from './support/fake-clock.ts';
import { type Harness, type LogLine, logRecord } from './support/harness.ts';

const { listen, log, start: startExporter } = exporterFixture();
const root = new URL('..', import.meta.url);
const read = (path: string) => readFileSync(new URL(path, root), 'utf8');

/** The clocks that go on until the message has come. */
const clocks: FakeClock[] = [];

function start(options: FluentForwardLogExporterOptions): Harness {
  const made = startExporter(options);
  clocks.push(made.clock);
  return made;
}

/** Makes a message happen, in its course. */
type FaultRun = () => Promise<unknown>;

const exporting =
  (options: FluentForwardLogExporterOptions, bodies: unknown[] = ['a']): FaultRun =>
  async () =>
    void start(options).send(...bodies);

/** An export to a receiver of that kind. */
const receiving =
  (receiverOptions: ForwardReceiverOptions, options: FluentForwardLogExporterOptions = {}): FaultRun =>
  async () => {
    const { endpoint } = await listen(receiverOptions);
    void start({ endpoint, ...options }).send('a');
  };

const security = { sharedKey: 'key' };
const withhold = () => ({ kind: 'withhold' }) as const;
const constructed =
  (options: FluentForwardLogExporterOptions): FaultRun =>
  async () =>
    void start(options);
const refusing = (reason: string) =>
  receiving({ security, handshakeFaults: () => ({ kind: 'refuse', reason }) }, { sharedKey: 'key' });

/** Where a server listens that ends with the test. */
async function portOf(server: Server): Promise<number> {
  onTestFinished(() => void server.close());
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

const SCENES: Readonly<Record<string, FaultRun>> = {
  'no address for …: …': exporting({ endpoint: 'tcp://fluent', resolver: async () => [] }),
  '<option or variable>: …': exporting({
    sharedKey: () => {
      throw new Error('the vault is sealed');
    },
  }),
  'connection refused; is the receiver running, and listening there?': exporting({ endpoint: 'tcp://127.0.0.1:1' }),
  'no HELO within … ms: the server wants no shared key; remove sharedKey, or add <security> (Fluentd) or shared_key (Fluent Bit) there; or does it speak TLS, as tls:// would?':
    receiving({}, { sharedKey: 'key' }),
  'no HELO within … ms: the server wants no shared key; remove sharedKey, or add <security> (Fluentd) or shared_key (Fluent Bit) there':
    async () => {
      const tls = await (await Authority.create()).issue();
      const { endpoint } = await listen({ tls });
      void start({ endpoint, sharedKey: 'key', tls: { insecureSkipVerify: true } }).send('a');
    },
  'no PONG within … ms: the server does not answer the authentication': receiving(
    { security, handshakeFaults: () => ({ kind: 'withhold', message: 'PONG' }) },
    { sharedKey: 'key' },
  ),
  'the server does not answer in TLS; does it want tcp://?': async () => {
    // It speaks first, and no TLS.
    const { port } = await listen({ security });
    void start({ endpoint: `tls://127.0.0.1:${port}` }).send('a');
  },
  'the TLS handshake failed: …': async () => {
    // A record of TLS with a message that does not come first.
    const server = createServer((socket) => socket.end(Buffer.from([22, 3, 3, 0, 4, 20, 0, 0, 0]))).listen(
      0,
      '127.0.0.1',
    );
    void start({ endpoint: `tls://127.0.0.1:${await portOf(server)}` }).send('a');
  },
  '<loss> right after the TLS handshake; it probably wants a client certificate (tls.cert and tls.key)': async () => {
    const tls = await (await Authority.create()).issue();
    const server = createTlsServer(tls, (socket) => socket.destroy()).listen(0, '127.0.0.1');
    void start({ endpoint: `tls://127.0.0.1:${await portOf(server)}`, tls: { insecureSkipVerify: true } }).send('a');
  },
  'the server sent HELO: it wants a shared key; set sharedKey or OTEL_EXPORTER_FLUENT_FORWARD_SHARED_KEY': receiving({
    security,
  }),
  'the server refuses this client: "…"; check sharedKey': receiving({ security }, { sharedKey: 'other' }),
  'the server refuses this client: "…"; check username and password': refusing('username/password mismatch'),
  'the server refuses this client: "…"; look at the <security> section of the server': refusing('not today'),
  '<loss> in place of answering PING, as Fluent Bit does when the shared key is wrong; check sharedKey': receiving(
    { security: { ...security, style: 'fluent-bit' } },
    { sharedKey: 'other' },
  ),
  'the server does not prove that it knows the shared key; it may be an impostor, and is sent nothing': receiving(
    { security, handshakeFaults: () => ({ kind: 'impostor' }) },
    { sharedKey: 'key' },
  ),
  'the server calls itself …, as this client does, and so proves nothing; give the client another name (hostname)':
    receiving({ security, handshakeFaults: () => ({ kind: 'reflect' }) }, { sharedKey: 'key' }),
  '<loss>': receiving({ security, messageFaults: [{ kind: 'close', when: 'before ack' }] }, { sharedKey: 'key' }),
  '<loss> before it said anything; is it overloaded, or does it want TLS (tls://)?': receiving({
    messageFaults: [{ kind: 'reset', when: 'before ack' }],
  }),
  'no ack within … ms': receiving({ messageFaults: withhold }),
  'the server acknowledged a later chunk and not this one': async () => {
    const receiver = await listen();
    const { send } = start({ endpoint: receiver.endpoint });
    await send('proof');
    receiver.messageFaults = [{ kind: 'withhold' }];
    void send('a');
    void send('b');
  },
  'the server answered a chunk without accepting it': receiving({ messageFaults: [{ kind: 'refuse' }] }),
  'the server answered with …': receiving({ messageFaults: [{ kind: 'garbage' }] }),
  'the server answered out of turn, when … was due': receiving(
    { security, handshakeFaults: [{ kind: 'replace', message: 'HELO', bytes: Buffer.from([0x80]) }] },
    { sharedKey: 'key' },
  ),
  [MESSAGES[0]?.text as string]: receiving({ messageFaults: withhold }, { rotationIntervalMillis: 0 }),
  'name lookup for … failed (…); going on with the last answer, … address(es)': async () => {
    const receiver = await listen();
    const { endpoint, resolver } = named(receiver);
    let lookups = 0;
    const made = start({
      endpoint,
      resolver: async () => (lookups++ === 0 ? resolver() : []),
      rotationIntervalMillis: 1_000,
    });
    await made.send('a');
  },
  'name lookup for … failed (…); going on with the other endpoints': exporting({
    endpoint: 'tcp://a.test,tcp://b.test',
    resolver: async () => [],
  }),
  '…: the secrets cannot be read anew (…); going on with the last good ones': async () => {
    const receiver = await listen({ security });
    let reads = 0;
    const sharedKey = () => {
      if (reads++ === 0) return 'key';
      throw new Error('the vault is sealed');
    };
    await start({ endpoint: receiver.endpoint, sharedKey, rotationIntervalMillis: 1_000 }).send('a');
  },
  '…: dropped … of … log records: it takes more than … bytes, the most a receiver accepts': exporting({}, [
    Array.from({ length: 30 }, () => 'x'.repeat(262_000)),
  ]),
  '…: dropped … of … log records: it cannot be read: …': async () => {
    const record = new Proxy({}, { get: () => fail('no') });
    start({}).exporter.export([record as never], () => {});
  },
  '…: dropped … of … log records: the layout function threw: …': exporting({ layout: () => fail('no') }),
  '…: dropped … of … log records: the layout function returned …, neither a plain object nor undefined': exporting({
    layout: () => [],
  }),
  '…: the tag function threw: …; using opentelemetry.logs': receiving({}, { tag: () => fail('no') }),
  '…: the tag function returned …, no string; using opentelemetry.logs': receiving(
    {},
    { tag: (async () => 'a') as never },
  ),
  '…: … of … log records got the tag …: a batch may have 64 tags, as each costs a message': async () => {
    const { endpoint } = await listen();
    const records = Array.from({ length: 65 }, (_, n) => logRecord('a', { n }));
    start({ endpoint, tag: 'app.${attributes.n}' }).exporter.export(records, () => {});
  },
  '…: log records have event names, which Fluent Bit drops; set eventNameAttribute to true to send them as the attribute otel.event.name too, or to false if they may be lost':
    async () => {
      const { endpoint } = await listen();
      const record = { ...logRecord('a'), eventName: 'order.refused' };
      start({ endpoint, layout: 'otlp' }).exporter.export([record], () => {});
    },
  '…: the result callback of export() threw: …': async () => start({}).exporter.export([], () => fail('no')),
  'both OTEL_EXPORTER_FLUENT_FORWARD_… and OTEL_EXPORTER_FLUENT_FORWARD_…_FILE are set; using the file': async () => {
    vi.stubEnv('OTEL_EXPORTER_FLUENT_FORWARD_SHARED_KEY', 'key');
    vi.stubEnv('OTEL_EXPORTER_FLUENT_FORWARD_SHARED_KEY_FILE', '/nowhere');
    start({});
  },
  'ackTimeoutMillis (…) is not below timeoutMillis (…): an unanswered chunk is never sent to another receiver':
    constructed({ ackTimeoutMillis: 2_000, timeoutMillis: 2_000 }),
  'timeoutMillis (…) is not below …, after which BatchLogRecordProcessor by default gives up on an export that still runs':
    constructed({ timeoutMillis: 30_000 }),
  'username and password are not used: without sharedKey there is no handshake': constructed({ username: 'shop' }),
  'username and password belong together, and one of them is not set': constructed({
    username: 'shop',
    sharedKey: 'key',
  }),
  '… set, but … is not encrypted: tls:// and srv+tls:// endpoints are': constructed({ tls: { serverName: 'a.test' } }),
  'tls.insecureSkipVerify is set: … may be anybody, and whoever can redirect the traffic reads the log records':
    constructed({ endpoint: 'tls://a.test', tls: { insecureSkipVerify: true } }),
  'connected to …': receiving({}, { rotationIntervalMillis: 1_000 }),
  'connected to … again after … s, … records resent, … failed': receiving({
    messageFaults: [{ kind: 'reset', when: 'before ack' }],
  }),
  'rotated from … to …': async () => {
    const receiver = await listen();
    const { clock, send } = start({ endpoint: receiver.endpoint, rotationIntervalMillis: 1_000 });
    await send('a');
    await clock.advance(500);
    await until(() => receiver.connectionCount === 2);
    await send('b');
  },
};

const faults = Object.values(FAULTS).flat();
const happening = [
  ...faults.map((entry) => ({ ...entry, level: 'warn', isIt: (line: LogLine) => isFault(line, entry) })),
  ...MESSAGES.map((entry) => ({ ...entry, isIt: (line: LogLine) => isMessage(line, entry) })),
];

describe('a message of the catalogue', () => {
  it.each(happening.filter(({ test }) => test === undefined))('happens, as $level: $text', async ({ text, isIt }) => {
    clocks.length = 0;
    await SCENES[text]?.();
    while (!log.some(isIt)) for (const clock of clocks) await clock.advance(250);
  });

  it.each(happening.filter(({ test }) => test !== undefined))('happens in $test: $text', ({ test = '', text }) => {
    const parts = text.split(PLACEHOLDER).filter((part) => !PLACEHOLDER.test(part));
    const [longest = ''] = parts.sort((a, b) => b.length - a.length);
    expect(read(test).replaceAll('\\', '')).toContain(longest.replace(/:? $/, '').trimStart());
    expect(SCENES).not.toHaveProperty([text]);
  });
});

describe('a warning', () => {
  const told = () => log.filter(([level]) => level === 'warn').map(([, text]) => text.replace(/^\S+ /, ''));

  it('of a refused dial says how many records wait, and until when', async () => {
    const { send } = start({ endpoint: 'tcp://127.0.0.1:1' });
    void send('a');
    void send('b', 'c');
    await until(() => told().length > 0);
    // Half of the backoff is by chance, which is at its middle here.
    expect(told()).toEqual([
      expect.stringMatching(/: connection refused; .*; 3 record\(s\) wait, and the next try is in 75 ms$/),
    ]);
  });

  it('is told of each endpoint, where they fail for the same reason', async () => {
    const receivers = await Promise.all([listen({ security }), listen({ security })]);
    void start({ endpoint: receivers.map(({ endpoint }) => endpoint) }).send('a');
    await until(() => told().length === 2);
    for (const { endpoint } of receivers) expect(told().join('\n')).toContain(`${endpoint}: the server sent HELO`);
  });

  it('is told of each kind of drop', async () => {
    const { endpoint } = await listen();
    const { exporter, send } = start({
      endpoint,
      layout: ({ body }) => {
        if (body === 'throw') fail('no');
        return { body: body === 'large' ? Array.from({ length: 30 }, () => 'x'.repeat(262_000)) : body };
      },
    });
    await send('a', 'large');
    await send('a', 'throw');
    await send('a', 'throw');
    const unreadable = new Proxy({}, { get: () => fail('unreadable') });
    exporter.export([logRecord('a'), unreadable as never], () => {});
    expect(told()).toEqual([
      `${endpoint}: dropped 1 of 2 log records: it takes more than 6000000 bytes, the most a receiver accepts`,
      `${endpoint}: dropped 1 of 2 log records: the layout function threw: no`,
      expect.stringContaining('unreadable'),
    ]);
  });
});

describe('the troubleshooting tables of README.md', () => {
  const section = /^## When it doesn't\n(.*?)^## /ms.exec(read('README.md'))?.[1] ?? '';
  const rows = [...section.matchAll(/^\| (?:(?:`([A-Z_]+)` )?\| )?`(.+?)` \| (.+) \|$/gm)];

  it('have every fault of a connection, with its code', () => {
    let code = '';
    const shown = rows.flatMap(([, given, text]) => {
      code = given ?? code;
      return text !== undefined && faults.some((fault) => fault.text === text) ? [`${code} ${text}`] : [];
    });
    expect(shown).toEqual(
      Object.entries(FAULTS).flatMap(([name, entries]) =>
        entries.map(({ text }) => `${name.replace('FLUENT_FORWARD_', '')} ${text}`),
      ),
    );
  });

  it('have every other warning, and what is said when all is well', () => {
    const shown = rows.flatMap(([, , text]) => (faults.some((fault) => fault.text === text) ? [] : [text]));
    const told = MESSAGES.filter(({ level }) => level !== 'debug').map(({ text }) => text);
    expect(shown).toEqual(told);
  });

  it('say what to do about each', () => {
    for (const [, , text, remedy] of rows)
      expect({ text, remedy }).toEqual({ text, remedy: expect.stringMatching(/\w/) });
  });
});

function fail(message: string): never {
  throw new Error(message);
}
