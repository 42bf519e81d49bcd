import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import type { FluentForwardLogExporterOptions } from '../src/index.ts';
import type { ForwardReceiverOptions } from '../src/testing/index.ts';
import { FAULTS, isFault, isMessage, MESSAGES, PLACEHOLDER } from './support/catalogue.ts';
import { Authority } from './support/certificates.ts';
import {
  advanceUntil,
  connected,
  disconnected,
  exporterFixture,
  isUnderWay,
  named,
  textOf,
} from './support/exporter-fixture.ts';
import { settle, until } from './support/fake-clock.ts';
import { type LogLine, logRecord } from './support/harness.ts';

const { listen, log, start } = exporterFixture();
const root = new URL('..', import.meta.url);
const read = (path: string) => readFileSync(new URL(path, root), 'utf8');

/** Brings about what a message is about. The exporter logs it soon afterwards, and no more time has to pass. */
type Cause = () => Promise<unknown>;

const exporting =
  (options: FluentForwardLogExporterOptions, bodies: unknown[] = ['a']): Cause =>
  async () =>
    void start(options).send(...bodies);

/** An export to a receiver of that kind. */
const receiving =
  (receiverOptions: ForwardReceiverOptions, options: FluentForwardLogExporterOptions = {}): Cause =>
  async () => {
    const { endpoint } = await listen(receiverOptions);
    void start({ endpoint, ...options }).send('a');
  };

const security = { sharedKey: 'key' };
const withhold = () => ({ kind: 'withhold' }) as const;
const constructed =
  (options: FluentForwardLogExporterOptions): Cause =>
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

/** The default time limit of a dial and of an ack. */
const LIMIT_MILLIS = 5_000;
/** When the connection of an exporter that rotates every second is replaced for the first time. */
const ROTATION_MILLIS = 500;

/** Exports to a receiver that says no HELO, and lets the limit pass once the connection is established. */
async function awaitHelo(receiverOptions: ForwardReceiverOptions, options: FluentForwardLogExporterOptions) {
  const receiver = await listen(receiverOptions);
  const { clock, send } = start({ endpoint: receiver.endpoint, ...options });
  void send('a');
  await until(() => receiver.connectionCount === 1);
  await settle();
  await clock.advance(LIMIT_MILLIS);
}

/** What causes each message, by its text. */
const CAUSES: Readonly<Record<string, Cause>> = {
  'no address for …: …': exporting({ endpoint: 'tcp://fluent', resolver: async () => [] }),
  '<option or variable>: …': exporting({
    sharedKey: () => {
      throw new Error('the vault is sealed');
    },
  }),
  'connection refused; is the receiver running, and listening there?': exporting({ endpoint: 'tcp://127.0.0.1:1' }),
  'no HELO within … ms: the server wants no shared key; remove sharedKey, or add <security> (Fluentd) or shared_key (Fluent Bit) there; or does it speak TLS, as tls:// would?':
    () => awaitHelo({}, { sharedKey: 'key' }),
  'no HELO within … ms: the server wants no shared key; remove sharedKey, or add <security> (Fluentd) or shared_key (Fluent Bit) there':
    async () => {
      const tls = await (await Authority.create()).issue();
      await awaitHelo({ tls }, { sharedKey: 'key', tls: { insecureSkipVerify: true } });
    },
  'no PONG within … ms: the server does not answer the authentication': async () => {
    const receiver = await listen({ security, handshakeFaults: () => ({ kind: 'withhold', message: 'PONG' }) });
    const { clock, send } = start({ endpoint: receiver.endpoint, sharedKey: 'key' });
    const authentication = once(receiver, 'handshake');
    void send('a');
    await authentication;
    await clock.advance(LIMIT_MILLIS);
  },
  'the server does not answer in TLS; does it want tcp://?': async () => {
    // It speaks first, and no TLS.
    const { port } = await listen({ security });
    void start({ endpoint: `tls://127.0.0.1:${port}` }).send('a');
  },
  'the TLS handshake failed: …': async () => {
    // A record of TLS with a message that does not come first.
    const unexpected = Buffer.from([22, 3, 3, 0, 4, 20, 0, 0, 0]);
    // The client may reset the connection.
    const server = createServer((socket) => socket.on('error', () => {}).end(unexpected)).listen(0, '127.0.0.1');
    void start({ endpoint: `tls://127.0.0.1:${await portOf(server)}` }).send('a');
  },
  '<loss> right after the TLS handshake; it probably wants a client certificate (tls.cert and tls.key)': async () => {
    const tls = await (await Authority.create()).issue();
    const server = createTlsServer(tls, (socket) => socket.on('error', () => {}).destroy()).listen(0, '127.0.0.1');
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
  'no ack within … ms': async () => {
    const receiver = await listen({ messageFaults: withhold });
    const { clock, send } = start({ endpoint: receiver.endpoint });
    void send('a');
    await until(() => receiver.messageCount === 1);
    await clock.advance(LIMIT_MILLIS);
  },
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
  [MESSAGES[0]?.text as string]: async () => {
    const receiver = await listen({
      messageFaults: (message) => (textOf(message) === 'poison' ? { kind: 'reset', when: 'before ack' } : undefined),
    });
    const made = start({ endpoint: receiver.endpoint });
    const isBusy = () => isUnderWay(made);
    void made.send('poison');
    // Others are acknowledged between the tries.
    for (let i = 1; !log.some(([, text]) => text.includes('probably refuse it')); i++) {
      void made.send(i);
      await advanceUntil(made, 500, () => made.clock.now() >= i * 1_000, isBusy);
    }
  },
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
    await made.clock.advance(ROTATION_MILLIS);
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
    const { clock, send } = start({ endpoint: receiver.endpoint, sharedKey, rotationIntervalMillis: 1_000 });
    await send('a');
    await clock.advance(ROTATION_MILLIS);
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
  'ackTimeoutMillis (…) must be less than timeoutMillis (…); otherwise an unanswered chunk is never sent to another receiver':
    constructed({ ackTimeoutMillis: 2_000, timeoutMillis: 2_000 }),
  'timeoutMillis (…) must be less than …, after which BatchLogRecordProcessor by default gives up on an export that still runs':
    constructed({ timeoutMillis: 30_000 }),
  'username and password are not used: without sharedKey there is no handshake': constructed({ username: 'shop' }),
  'username and password: set both or neither': constructed({
    username: 'shop',
    sharedKey: 'key',
  }),
  '… set, but … is not encrypted: tls:// and srv+tls:// endpoints are': constructed({ tls: { serverName: 'a.test' } }),
  'tls.insecureSkipVerify is set: … may be anybody, and whoever can redirect the traffic reads the log records':
    constructed({ endpoint: 'tls://a.test', tls: { insecureSkipVerify: true } }),
  'connected to …': async () => {
    const { endpoint } = await listen();
    const { clock, send } = start({ endpoint, rotationIntervalMillis: 1_000 });
    await send('a');
    await clock.advance(ROTATION_MILLIS);
  },
  'connected to … again after … s, … records resent, … failed': async () => {
    const receiver = await listen({ messageFaults: [{ kind: 'reset', when: 'before ack' }] });
    const made = start({ endpoint: receiver.endpoint });
    void made.send('a');
    await until(() => receiver.messageCount === 1);
    await disconnected(made);
    await made.clock.advance(100);
  },
  'rotated from … to …': async () => {
    const receiver = await listen();
    const made = start({ endpoint: receiver.endpoint, rotationIntervalMillis: 1_000 });
    await made.send('a');
    await made.clock.advance(ROTATION_MILLIS);
    await connected(made, 2);
    await made.send('b');
  },
};

const faults = Object.values(FAULTS).flat();
const catalogue = [
  ...faults.map((entry) => ({ ...entry, level: 'warn', matches: (line: LogLine) => isFault(line, entry) })),
  ...MESSAGES.map((entry) => ({ ...entry, matches: (line: LogLine) => isMessage(line, entry) })),
];
const causedHere = catalogue.flatMap(({ level, text, test, matches }) =>
  test === undefined ? [[level, text, matches] as const] : [],
);
const causedElsewhere = catalogue.flatMap(({ text, test }) => (test === undefined ? [] : [[test, text] as const]));

describe('the catalogue of messages', () => {
  it.each(causedHere)('the exporter logs a message of the catalogue at level %s: %s', async (_, text, matches) => {
    expect(CAUSES).toHaveProperty([text]);
    await CAUSES[text]?.();
    await until(() => log.some(matches));
  });

  it.each(causedElsewhere)('the file %s tests a message of the catalogue: %s', (test, text) => {
    const parts = text.split(PLACEHOLDER).filter((part) => !PLACEHOLDER.test(part));
    const [longest = ''] = parts.sort((a, b) => b.length - a.length);
    expect(read(test).replaceAll('\\', '')).toContain(longest.replace(/:? $/, '').trimStart());
    expect(CAUSES).not.toHaveProperty([text]);
  });
});

describe('a warning', () => {
  const warnings = () => log.filter(([level]) => level === 'warn').map(([, text]) => text.replace(/^\S+ /, ''));

  it('the warning about a refused dial contains how many records wait and for how long', async () => {
    const { send } = start({ endpoint: 'tcp://127.0.0.1:1' });
    void send('a');
    void send('b', 'c');
    await until(() => warnings().length > 0);
    // Up to half of the backoff of 100 ms is taken off at random, here a quarter.
    expect(warnings()).toEqual([
      expect.stringMatching(/: connection refused; .*; 3 record\(s\) wait, and the next try is in 75 ms$/),
    ]);
  });

  it('the exporter warns of each endpoint if several fail for the same reason', async () => {
    const receivers = await Promise.all([listen({ security }), listen({ security })]);
    void start({ endpoint: receivers.map(({ endpoint }) => endpoint) }).send('a');
    await until(() => warnings().length === 2);
    for (const { endpoint } of receivers) expect(warnings().join('\n')).toContain(`${endpoint}: the server sent HELO`);
  });

  it('the exporter warns once of each reason for which it drops records', async () => {
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
    expect(warnings()).toEqual([
      `${endpoint}: dropped 1 of 2 log records: it takes more than 6000000 bytes, the most a receiver accepts`,
      `${endpoint}: dropped 1 of 2 log records: the layout function threw: no`,
      expect.stringContaining('unreadable'),
    ]);
  });
});

describe('the troubleshooting tables of README.md', () => {
  const section = /^## Troubleshooting\n(.*?)^## /ms.exec(read('README.md'))?.[1] ?? '';
  const rows = [...section.matchAll(/^\| (?:(?:`([A-Z_]+)` )?\| )?`(.+?)` \| (.+) \|$/gm)];

  it('README.md lists every fault of a connection with its code', () => {
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

  it('README.md lists every other message but those at level debug', () => {
    const shown = rows.flatMap(([, , text]) => (faults.some((fault) => fault.text === text) ? [] : [text]));
    const messages = MESSAGES.filter(({ level }) => level !== 'debug').map(({ text }) => text);
    expect(shown).toEqual(messages);
  });

  it('README.md lists what to do about every message', () => {
    for (const [, , text, remedy] of rows)
      expect({ text, remedy }).toEqual({ text, remedy: expect.stringMatching(/\w/) });
  });
});

function fail(message: string): never {
  throw new Error(message);
}
