import { Socket } from 'node:net';
import { describe, expect, it, vi } from 'vitest';
import { ConnectionPool } from '../src/connection/pool.ts';
import { FluentForwardLogExporter } from '../src/index.ts';
import type { MessageFault } from '../src/testing/index.ts';
import { exporterFixture } from './support/exporter-fixture.ts';
import { settle, until } from './support/fake-clock.ts';
import { logRecord, type Result } from './support/harness.ts';
import { unhandledRejections } from './support/unhandled-rejections.ts';

const { listen, start, warnings } = exporterFixture();

describe('a layout function', () => {
  const layout = ({ body }: { body?: unknown }, entry: object): object | undefined => {
    if (body === 'bad') throw new Error('no layout for it');
    return body === 'filtered' ? undefined : entry;
  };

  it('an export succeeds without the records that the layout function leaves out', async () => {
    const receiver = await listen();
    const { exporter, send } = start({ endpoint: receiver.endpoint, layout });
    expect(await send('a', 'filtered', 'b')).toEqual({ code: 0 });
    expect(receiver.entries.map(({ record }) => (record as { message: string }).message)).toEqual(['a', 'b']);
    expect(exporter.stats()).toMatchObject({ filteredRecords: 1, droppedRecords: 0, acknowledged: { records: 2 } });
    expect(warnings()).toEqual([]);
  });

  it('an export of which the layout function leaves out every record succeeds without a connection', async () => {
    const receiver = await listen();
    const { exporter, send } = start({ endpoint: receiver.endpoint, layout });
    expect(await send('filtered', 'filtered')).toEqual({ code: 0 });
    expect(receiver.connectionCount).toBe(0);
    expect(exporter.stats()).toMatchObject({ filteredRecords: 2, failed: {} });
  });

  it('the exporter drops a record and logs why if the layout function throws for it', async () => {
    const receiver = await listen();
    const { exporter, send } = start({ endpoint: receiver.endpoint, layout });
    expect(await send('a', 'bad', 'b')).toEqual({ code: 0 });
    expect(receiver.entryCount).toBe(2);
    expect(exporter.stats()).toMatchObject({ filteredRecords: 0, droppedRecords: 1 });
    expect(warnings()).toEqual([
      expect.stringContaining('dropped 1 of 3 log records: the layout function threw: no layout for it'),
    ]);
  });

  it('an export fails if one record was dropped and the layout function leaves out all others', async () => {
    const receiver = await listen();
    const { exporter, send } = start({ endpoint: receiver.endpoint, layout });
    const { code, error } = await send('filtered', 'bad', 'filtered');
    expect(code).toBe(1);
    expect(error).toMatchObject({ code: 'FLUENT_FORWARD_UNENCODABLE', records: 1, acknowledgedRecords: 0 });
    expect(error?.message).toContain('no record could be encoded: the layout function threw: no layout for it');
    expect(exporter.stats()).toMatchObject({
      filteredRecords: 2,
      droppedRecords: 1,
      failed: { FLUENT_FORWARD_UNENCODABLE: { records: 0, bytes: 0 } },
    });
  });

  it('the exporter does not count records that the layout function leaves out as lost', async () => {
    const { clock, exporter, send } = start({ endpoint: 'tcp://127.0.0.1:1', layout, timeoutMillis: 1_000 });
    const result = send('filtered', 'a', 'filtered', 'b');
    await until(() => exporter.stats().lastError !== undefined);
    await clock.advance(1_000);
    const { error } = await result;
    expect(error).toMatchObject({ code: 'FLUENT_FORWARD_TIMEOUT', records: 2, acknowledgedRecords: 0 });
    expect(error?.message).toMatch(/^2 of 2 log records were not acknowledged/);
    expect(exporter.stats()).toMatchObject({ failed: { FLUENT_FORWARD_TIMEOUT: { records: 2 } }, filteredRecords: 2 });
  });
});

describe('the options of the encoding', () => {
  it('environment variables set the layout, the tag and whether resource attributes are sent', async () => {
    const receiver = await listen();
    vi.stubEnv('OTEL_EXPORTER_FLUENT_FORWARD_LAYOUT', 'Flat');
    vi.stubEnv('OTEL_EXPORTER_FLUENT_FORWARD_TAG', 'app.${resource.service.name}');
    vi.stubEnv('OTEL_EXPORTER_FLUENT_FORWARD_RESOURCE_ATTRIBUTES', 'false');
    const { send } = start({ endpoint: receiver.endpoint });
    await send('a');
    expect(receiver.entries).toMatchObject([{ tag: 'app.test', record: { message: 'a', 'scope.name': 'test' } }]);
    expect(receiver.entries[0]?.record).not.toHaveProperty('resource.service.name');
  });

  it('the constructor throws if options of the encoding contradict each other', () => {
    expect(() => new FluentForwardLogExporter({ fields: { message: 'x' } })).toThrow(
      'option fields: got one with the name "message", which the layout default writes itself',
    );
    expect(() => new FluentForwardLogExporter({ tag: 'a.${b}' })).toThrow('(character 3: unknown field b)');
  });

  it('the exporter logs once a minute that the tag function throws and uses the default tag', async () => {
    const receiver = await listen();
    const { clock, send } = start({
      endpoint: receiver.endpoint,
      tag: ({ body }) => {
        if (body === 'bad') throw new Error('no tag');
        return `app.${body}`;
      },
    });
    await send('a', 'bad', 'bad', 'b');
    expect(receiver.entries.map(({ tag }) => tag)).toEqual([
      'app.a',
      'opentelemetry.logs',
      'opentelemetry.logs',
      'app.b',
    ]);
    expect(warnings()).toEqual([expect.stringContaining('the tag function threw: no tag; using opentelemetry.logs')]);
    await clock.advance(60_000);
    await send('bad');
    expect(warnings()).toHaveLength(2);
  });
});

describe('recordUid', () => {
  it('a record keeps its recordUid in every resend so that duplicates can be removed', async () => {
    const RECORDS = 40;
    // Every message arrives at least twice: its ack is lost with the connection, or never comes.
    const seen = new Set<string>();
    const faults: readonly MessageFault[] = [
      { kind: 'reset', when: 'before ack' },
      { kind: 'withhold' },
      { kind: 'close', when: 'before ack' },
    ];
    const receiver = await listen({
      messageFaults: ({ chunk = '' }) => {
        if (seen.has(chunk)) return undefined;
        seen.add(chunk);
        return faults[seen.size % faults.length];
      },
    });
    const exporter = new FluentForwardLogExporter({
      endpoint: receiver.endpoint,
      recordUid: true,
      maxChunkBytes: 2_048,
      // Withheld acks time out soon. The export has as long as a slow machine may need for all resends.
      ackTimeoutMillis: 200,
      timeoutMillis: 100_000,
    });
    const result = await new Promise<{ code: number }>((done) => {
      const records = Array.from({ length: RECORDS }, (_, i) => ({
        hrTime: [1_700_000_000, 0],
        hrTimeObserved: [0, 0],
        body: `${i} ${'x'.repeat(400)}`,
        attributes: {},
        resource: { attributes: {} },
        instrumentationScope: { name: '' },
        droppedAttributesCount: 0,
      }));
      exporter.export(records as never, done);
    });
    expect(result.code).toBe(0);
    await exporter.shutdown();
    const received = receiver.entries.map(({ record }) => record as { message: string; attributes: object });
    expect(received.length).toBeGreaterThanOrEqual(2 * RECORDS);
    const byUid = new Map(received.map(({ message, attributes }) => [Object.values(attributes)[0], message]));
    expect([...byUid.values()].map((message) => Number.parseInt(message, 10)).sort((a, b) => a - b)).toEqual([
      ...new Array(RECORDS).keys(),
    ]);
  });
});

describe('a fault of the exporter', () => {
  it('an export that a fault of the exporter ends calls back once and leaves no record in flight', async () => {
    const receiver = await listen();
    const { exporter, send } = start({ endpoint: receiver.endpoint });
    const broken = vi.spyOn(ConnectionPool.prototype, 'connect').mockImplementationOnce(() => {
      throw new Error('from within');
    });
    let calls = 0;
    const result = await new Promise<Result>((done) =>
      exporter.export([logRecord('a')], (given) => {
        calls++;
        done(given as Result);
      }),
    );
    broken.mockRestore();
    expect(result.error).toMatchObject({ code: 'FLUENT_FORWARD_INTERNAL', records: 1 });
    // The next export has the connections take the first chunk too.
    expect((await send('b')).code).toBe(0);
    await until(() => receiver.entryCount === 2);
    await exporter.forceFlush();
    expect(calls).toBe(1);
    expect(exporter.stats()).toMatchObject({ failed: { FLUENT_FORWARD_INTERNAL: { records: 1 } } });
  });
});

describe('a result callback', () => {
  it('the rejection of a result callback that is async is reported and does not end the process', async () => {
    const rejections = unhandledRejections();
    const receiver = await listen();
    const { exporter } = start({ endpoint: receiver.endpoint });
    exporter.export([logRecord('a')], async () => {
      throw new Error('from the callback');
    });
    await until(() => warnings().length > 0);
    expect(warnings()).toEqual([
      expect.stringContaining('the result callback of export() threw: Error: from the callback'),
    ]);
    expect(await rejections()).toEqual([]);
  });
});

describe('a connection that ends', () => {
  it('a socket that does not close by itself is destroyed after ackTimeoutMillis', async () => {
    const receiver = await listen();
    // As a socket in TLS does whose peer does not read: the last message of TLS cannot leave.
    const hung = vi.spyOn(Socket.prototype, 'destroySoon').mockImplementation(() => {});
    const { clock, exporter, send } = start({ endpoint: receiver.endpoint });
    await send('a');
    await exporter.shutdown();
    hung.mockRestore();
    await settle();
    expect(receiver.openConnections).toBe(1);
    await clock.advance(5_000);
    await until(() => receiver.openConnections === 0);
  });
});
