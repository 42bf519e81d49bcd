import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Connection } from '../../src/connection/connection.ts';
import type { FluentForwardChannels } from '../../src/index.ts';
import type { MessageScript } from '../../src/testing/faults.ts';
import { advanceUntil, connected, exporterFixture, named } from '../support/exporter-fixture.ts';
import { settle, until } from '../support/fake-clock.ts';
import { exportBodies, logRecord } from '../support/harness.ts';
import { HeldAck } from '../support/held-ack.ts';
import { LONG_LIMIT_VARIABLES } from '../support/long-limits.ts';
import { runProgram } from '../support/run-program.ts';

type Name = keyof FluentForwardChannels;
const NAMES: readonly Name[] = [
  'fluent-forward:connection:opened',
  'fluent-forward:connection:ready',
  'fluent-forward:connection:closed',
  'fluent-forward:connection:rotated',
  'fluent-forward:chunk:sent',
  'fluent-forward:chunk:resent',
  'fluent-forward:chunk:acknowledged',
  'fluent-forward:chunk:failed',
];
const { listen, start, warnings } = exporterFixture();

/** What was published, in its order, without the prefix of the names. */
const published: [name: string, message: unknown][] = [];
const listener = (message: unknown, name: string | symbol) => {
  published.push([String(name).replace('fluent-forward:', ''), message]);
};

describe('the diagnostics channels', () => {
  beforeEach(() => {
    published.length = 0;
    for (const name of NAMES) subscribe(name, listener);
  });
  afterEach(() => {
    for (const name of NAMES) unsubscribe(name, listener);
  });

  it('the channels publish each step of a chunk from a lost connection to its ack', async () => {
    const receiver = await listen({ messageFaults: [{ kind: 'reset', when: 'before ack' }] });
    const held = new HeldAck();
    const made = start({ endpoint: receiver.endpoint, rotationIntervalMillis: 0, tag: 'app' });
    const { clock, exporter, send } = made;
    // No random half taken off the backoff.
    made.chance = 0;
    const result = send('a', 'b');
    await until(() => warnings().length > 0);
    receiver.messageFaults = [held.fault];
    await clock.advance(100);
    await until(() => receiver.entryCount === 4);
    await clock.advance(30);
    held.release();
    await result;
    const { name } = exporter;
    const [message] = receiver.messages;
    const chunk = { id: message?.chunk, tag: 'app', records: 2, bytes: message?.bytes };
    const at = (id: number) => ({ id, endpoint: receiver.endpoint, address: `127.0.0.1:${receiver.port}` });
    const lost = expect.objectContaining({ code: 'FLUENT_FORWARD_CONNECTION_LOST' });
    expect(published).toEqual([
      ['connection:opened', { exporter: name, connection: at(0), dialMillis: 0 }],
      ['chunk:sent', { exporter: name, chunk, connection: at(0) }],
      ['connection:closed', { exporter: name, connection: at(0), error: lost }],
      ['connection:opened', { exporter: name, connection: at(1), dialMillis: 0 }],
      ['chunk:resent', { exporter: name, chunk, connection: at(1), error: lost }],
      ['connection:ready', { exporter: name, connection: at(1) }],
      ['chunk:acknowledged', { exporter: name, chunk, connection: at(1), latencyMillis: 30 }],
    ]);
  });

  it('in a rotation the new connection is published as ready before it takes over', async () => {
    const [a, b] = [await listen(), await listen()];
    const made = start({ ...named(a, b), rotationIntervalMillis: 1_000 });
    const { clock, exporter, send } = made;
    await send('a');
    await clock.advance(500);
    await connected(made, 2);
    published.length = 0;
    await send('b');
    const from = expect.objectContaining({ id: 0, endpoint: 'tcp://fluent:24224' });
    const to = expect.objectContaining({ id: 1, endpoint: 'tcp://fluent:24224' });
    expect(published.map(([name]) => name)).toEqual([
      'chunk:sent',
      'connection:ready',
      'connection:rotated',
      'connection:closed',
      'chunk:acknowledged',
    ]);
    expect(published[2]?.[1]).toEqual({ exporter: exporter.name, from, to });
    expect(published[3]?.[1]).toMatchObject({ connection: { id: 0 }, error: { code: 'FLUENT_FORWARD_CLOSED' } });
  });

  it('the channels publish dials that fail and chunks that are given up', async () => {
    const { clock, exporter, send } = start({ endpoint: 'tcp://127.0.0.1:1', timeoutMillis: 50 });
    const result = send('a');
    await until(() => published.length > 0);
    await clock.advance(50);
    await result;
    const connection = { id: 0, endpoint: 'tcp://127.0.0.1:1', address: '127.0.0.1:1' };
    const error = expect.objectContaining({ code: 'FLUENT_FORWARD_CONNECT_FAILED' });
    expect(published).toEqual([
      ['connection:closed', { exporter: exporter.name, connection, error }],
      [
        'chunk:failed',
        {
          exporter: exporter.name,
          chunk: expect.objectContaining({ records: 1 }),
          code: 'FLUENT_FORWARD_TIMEOUT',
          error: undefined,
        },
      ],
    ]);
  });

  it('a closed connection is published without an address if its lookup failed', async () => {
    const { send } = start({ endpoint: 'tcp://fluent', resolver: async () => [], timeoutMillis: 50 });
    void send('a');
    await until(() => published.length > 0);
    expect(published[0]).toMatchObject([
      'connection:closed',
      {
        connection: { id: 0, endpoint: undefined, address: undefined },
        error: { code: 'FLUENT_FORWARD_LOOKUP_FAILED' },
      },
    ]);
  });

  it('each published message contains the name of its exporter', async () => {
    const receiver = await listen();
    const [one, two] = [start({ endpoint: receiver.endpoint }), start({ endpoint: receiver.endpoint })];
    await one.send('a');
    await two.send('b', 'c');
    await one.send('d', 'e', 'f');
    const messages = (of: string) => published.filter(([name]) => name === of).map(([, message]) => message);
    expect(messages('chunk:sent')).toMatchObject([
      { exporter: one.exporter.name, chunk: { records: 1 } },
      { exporter: two.exporter.name, chunk: { records: 2 } },
      { exporter: one.exporter.name, chunk: { records: 3 } },
    ]);
    expect(messages('connection:ready')).toMatchObject([
      { exporter: one.exporter.name },
      { exporter: two.exporter.name },
    ]);
  });

  it('a subscriber may log through the same exporter', async () => {
    const receiver = await listen();
    const made = start({ endpoint: receiver.endpoint, maxChunkBytes: 2048 });
    const { exporter, send } = made;
    const results: Promise<unknown>[] = [];
    let finished = 0;
    const log = (_: unknown, name: string | symbol) => {
      if (results.length === 20) return;
      const result = exportBodies(exporter, name);
      results.push(result);
      void result.then(() => finished++);
    };
    for (const name of NAMES) subscribe(name, log);
    try {
      expect((await send(...Array.from({ length: 5 }, (_, n) => `${n} `.padEnd(1500, 'x')))).code).toBe(0);
      receiver.resetConnections();
      await advanceUntil(made, 100, () => finished === 20);
    } finally {
      for (const name of NAMES) unsubscribe(name, log);
    }
    expect(await Promise.all(results)).toEqual(results.map(() => ({ code: 0 })));
    expect(results).toHaveLength(20);
    expect(new Set(receiver.messages.map(({ chunk }) => chunk)).size).toBe(5 + results.length);
  });

  it.each(NAMES)('each export ends once if a subscriber of %s shuts the exporter down', async (name) => {
    const messageFaults: MessageScript =
      name === 'fluent-forward:chunk:failed' ? () => ({ kind: 'withhold' }) : [{ kind: 'reset', when: 'before ack' }];
    const receivers = [await listen({ messageFaults }), await listen({ messageFaults })];
    const made = start({ ...named(...receivers), timeoutMillis: 6_000, rotationIntervalMillis: 1_000 });
    const { exporter } = made;
    let shutdown: Promise<void> | undefined;
    let isShutDown = false;
    const shutDown = () => {
      shutdown ??= exporter.shutdown().then(() => {
        isShutDown = true;
      });
    };
    subscribe(name, shutDown);
    const results: [body: number, code: number][] = [];
    let exports = 0;
    const exportOne = () => {
      const body = exports++;
      exporter.export([logRecord(body)], ({ code }) => results.push([body, code]));
    };
    try {
      await advanceUntil(
        made,
        100,
        () => {
          if (shutdown === undefined && exports - results.length < 2) exportOne();
          return isShutDown && results.length >= exports;
        },
        () => false,
      );
    } finally {
      unsubscribe(name, shutDown);
    }
    await settle();
    expect(results.map(([body]) => body).sort((a, b) => a - b)).toEqual(Array.from({ length: exports }, (_, n) => n));
    expect(exporter.stats()).toMatchObject({ inFlightBytes: 0, connections: [] });
    const received = receivers.flatMap(({ entries }) => entries.map(({ record }) => (record as { body: number }).body));
    for (const [body, code] of results) if (code === 0) expect(received).toContain(body);
  });

  it('a connection that opens is listed as open, and closes if a subscriber shuts the exporter down', async () => {
    const receiver = await listen();
    const made = start({ endpoint: receiver.endpoint, rotationIntervalMillis: 1_000 });
    const { clock, exporter, send } = made;
    await send('a');
    let states: string[] = [];
    let shutdown: Promise<void> | undefined;
    const shutDown = () => {
      states = exporter.stats().connections.map(({ state }) => state);
      // Nothing is in flight, so it closes at once.
      shutdown ??= exporter.shutdown();
    };
    subscribe('fluent-forward:connection:opened', shutDown);
    try {
      await clock.advance(500);
      await until(() => shutdown !== undefined);
    } finally {
      unsubscribe('fluent-forward:connection:opened', shutDown);
    }
    await shutdown;
    expect(states).toEqual(['open', 'open']);
    expect(exporter.stats()).toMatchObject({ connections: [], addresses: [{ connections: 0 }] });
    await until(() => receiver.connectionCount === 2 && receiver.openConnections === 0);
  });

  it('an export is acknowledged if subscribers throw, and Node.js reports what they throw', async () => {
    const receiver = await listen();
    const env = { ...LONG_LIMIT_VARIABLES, OTEL_EXPORTER_FLUENT_FORWARD_ENDPOINT: receiver.endpoint };
    const { code, stdout, stderr } = await runProgram('test/telemetry/throwing-subscriber.mjs', { env });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const { results, uncaught } = JSON.parse(stdout);
    expect(results).toEqual([{ code: 0 }]);
    expect(receiver.entryCount).toBe(1);
    expect(uncaught).toEqual(
      ['connection:opened', 'chunk:sent', 'connection:ready', 'chunk:acknowledged', 'connection:closed'].map(
        (name) => `fault of a subscriber of ${name}`,
      ),
    );
  });
});

it('README.md lists every channel with what is published in it', () => {
  const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
  const rows = [...readme.matchAll(/^\| `(fluent-forward:\w+:\w+)` \| .+ \| (.+) \|$/gm)];
  const listed = rows.map(([, name, fields = '']) => [name, fields.match(/\w+/g)]);
  expect(Object.fromEntries(listed)).toEqual({
    'fluent-forward:connection:opened': ['connection', 'dialMillis'],
    'fluent-forward:connection:ready': ['connection'],
    'fluent-forward:connection:closed': ['connection', 'error'],
    'fluent-forward:connection:rotated': ['from', 'to'],
    'fluent-forward:chunk:sent': ['chunk', 'connection'],
    'fluent-forward:chunk:resent': ['chunk', 'connection', 'error'],
    'fluent-forward:chunk:acknowledged': ['chunk', 'connection', 'latencyMillis'],
    'fluent-forward:chunk:failed': ['chunk', 'code', 'error'],
  } satisfies Record<Name, string[]>);
});

it('the exporter builds no description of a connection while no channel has a subscriber', async () => {
  const descriptor = Object.getOwnPropertyDescriptor(Connection.prototype, 'info') as PropertyDescriptor;
  let described = 0;
  Object.defineProperty(Connection.prototype, 'info', {
    ...descriptor,
    get(this: Connection) {
      described++;
      return descriptor.get?.call(this);
    },
  });
  try {
    const receiver = await listen({ messageFaults: [{ kind: 'reset', when: 'before ack' }] });
    const { clock, send } = start({ endpoint: receiver.endpoint });
    const result = send('a');
    await until(() => warnings().length > 0);
    await clock.advance(100);
    await result;
    expect(described).toBe(0);
    subscribe(NAMES[4] as Name, listener);
    await send('b');
    expect(described).toBe(1);
  } finally {
    unsubscribe(NAMES[4] as Name, listener);
    Object.defineProperty(Connection.prototype, 'info', descriptor);
  }
});
