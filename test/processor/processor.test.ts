import { resourceFromAttributes } from '@opentelemetry/resources';
import { BatchLogRecordProcessor, type LogRecordProcessor, type SdkLogRecord } from '@opentelemetry/sdk-logs';
import { describe, expect, it } from 'vitest';
import { FluentForwardLogExporter, type FluentForwardLogRecordProcessor } from '../../src/index.ts';
import type { ForwardReceiver } from '../../src/testing/index.ts';
import { exporterFixture } from '../support/exporter-fixture.ts';
import { FakeClock, settle, until } from '../support/fake-clock.ts';
import { LONG_LIMITS } from '../support/long-limits.ts';
import { expectAccounted, loggerOf, startProcessor } from '../support/processor-fixture.ts';

const { listen, log, warnings } = exporterFixture();

interface Content {
  readonly message?: string;
  readonly body?: unknown;
  readonly attributes?: Record<string, unknown>;
  readonly resource?: Record<string, unknown>;
}

const contents = ({ entries }: ForwardReceiver) => entries.map(({ record }) => record as Content);
const messages = (receiver: ForwardReceiver) => contents(receiver).map(({ message }) => message);

describe('many records', () => {
  it('a burst of 20,000 records in one turn arrives whole, each record once', async () => {
    const receiver = await listen();
    const { processor } = startProcessor({ endpoint: receiver.endpoint });
    const logger = loggerOf([processor]);
    const bodies = Array.from({ length: 20_000 }, (_, i) => `record ${i} of a burst`);
    for (const body of bodies) logger.emit({ body, severityNumber: 9, attributes: { some: 'attribute' } });
    expect(processor.stats()).toMatchObject({ emitted: 20_000, held: { records: 20_000 } });
    await logger.forceFlush();
    expect(messages(receiver)).toEqual(bodies);
    expect(processor.stats()).toMatchObject({
      acknowledged: { records: 20_000 },
      held: { records: 0, bytes: 0 },
      resent: { records: 0 },
    });
    expect(warnings()).toEqual([]);
  });

  it('compressed records arrive once each, and their memory is free afterwards', async () => {
    const receiver = await listen();
    const { processor, emit } = startProcessor({
      endpoint: receiver.endpoint,
      compression: 'gzip',
      maxChunkBytes: 50_000,
    });
    const bodies = Array.from({ length: 5_000 }, (_, i) => `record ${i} ${'x'.repeat(i % 100)}`);
    for (const body of bodies) emit({ body });
    await processor.forceFlush();
    // Chunks that are compressed on different threads may change places.
    expect(messages(receiver).sort()).toEqual(bodies.sort());
    expect(receiver.messages.every(({ mode }) => mode === 'compressed')).toBe(true);
    expect(processor.stats()).toMatchObject({ acknowledged: { records: 5_000 }, held: { records: 0, bytes: 0 } });
  });

  it('records with 1,000 tags arrive once each, under their tags', async () => {
    const receiver = await listen();
    const tag = ({ attributes }: { attributes: Record<string, unknown> }) => `tag.${attributes.number}`;
    const { processor } = startProcessor({ endpoint: receiver.endpoint, tag });
    const logger = loggerOf([processor]);
    for (let i = 0; i < 3_000; i++) logger.emit({ body: `${i}`, attributes: { number: i % 1_000 } });
    await logger.forceFlush();
    const received = receiver.entries.map((entry) => [Number((entry.record as Content).message), entry.tag] as const);
    expect(received.sort(([a], [b]) => a - b)).toEqual(
      Array.from({ length: 3_000 }, (_, i) => [i, `tag.${i % 1_000}`]),
    );
    expect(warnings()).toEqual([]);
  });

  it('two processors in one process send to their own receivers and count their own records', async () => {
    const receivers = [await listen(), await listen()];
    const [one, two] = receivers.map(({ endpoint }) => startProcessor({ endpoint }).processor) as [
      FluentForwardLogRecordProcessor,
      FluentForwardLogRecordProcessor,
    ];
    expect(one.name).not.toBe(two.name);
    const both = loggerOf([one, two]);
    for (const body of ['a', 'b']) both.emit({ body });
    loggerOf([two]).emit({ body: 'only the second' });
    await both.forceFlush();
    expect(receivers.map(messages)).toEqual([
      ['a', 'b'],
      ['a', 'b', 'only the second'],
    ]);
    expect([one, two].map((each) => each.stats().acknowledged.records)).toEqual([2, 3]);
  });
});

describe('records that log', () => {
  it('a record that is logged while another one is encoded is sent too', async () => {
    const receiver = await listen();
    const { processor } = startProcessor({ endpoint: receiver.endpoint });
    const logger = loggerOf([processor]);
    const body = {
      get value() {
        logger.emit({ body: 'from the getter' });
        expectAccounted(processor.stats());
        return 1;
      },
    };
    logger.emit({ body });
    logger.emit({ body: 'after' });
    await logger.forceFlush();
    expect(contents(receiver).map(({ message, body: content }) => message ?? content)).toEqual(
      expect.arrayContaining([{ value: 1 }, 'from the getter', 'after']),
    );
    expect(processor.stats().acknowledged.records).toBe(3);
  });

  it('records that log themselves without end are cut off at four, and the last one is dropped', async () => {
    const receiver = await listen();
    const { processor } = startProcessor({ endpoint: receiver.endpoint });
    const logger = loggerOf([processor]);
    let depth = 0;
    const endless = () => ({
      depth: depth++,
      get again() {
        logger.emit({ body: endless() });
        return 'logged';
      },
    });
    logger.emit({ body: endless() });
    await logger.forceFlush();
    const received = contents(receiver).map(({ body }) => (body as { depth: number }).depth);
    expect(received.sort()).toEqual([0, 1, 2, 3]);
    expect(processor.stats().dropped.unencodable).toBe(1);
    expect(warnings().join()).toContain('records are logged while others are encoded, and are nested too deep');
  });
});

describe('processors that change records', () => {
  /** Replaces what must not be sent. */
  const redaction: LogRecordProcessor = {
    onEmit: (record: SdkLogRecord) => {
      record.setBody('redacted');
      record.setAttribute('password', '***');
    },
    forceFlush: async () => {},
    shutdown: async () => {},
  };

  it('a change takes effect if its processor is before this one, and none if it is behind', async () => {
    const receiver = await listen();
    const { processor } = startProcessor({ endpoint: receiver.endpoint });
    for (const processors of [
      [redaction, processor],
      [processor, redaction],
    ]) {
      loggerOf(processors).emit({ body: 'secret', attributes: { password: '1234' } });
    }
    await processor.forceFlush();
    expect(contents(receiver).map(({ message, attributes }) => [message, attributes])).toEqual([
      ['redacted', { password: '***' }],
      ['secret', { password: '1234' }],
    ]);
  });

  it('a change by a processor behind BatchLogRecordProcessor takes effect', async () => {
    const receiver = await listen();
    const exporter = new FluentForwardLogExporter({ ...LONG_LIMITS, endpoint: receiver.endpoint });
    const batches = new BatchLogRecordProcessor({ exporter });
    loggerOf([batches, redaction]).emit({ body: 'secret', attributes: { password: '1234' } });
    await batches.forceFlush();
    expect(contents(receiver)).toMatchObject([{ message: 'redacted', attributes: { password: '***' } }]);
    await batches.shutdown();
  });
});

describe('resources of the SDK', () => {
  it.each(['default', 'otlp'] as const)(
    'records wait for the pending attributes of their resource from the first record on: %s',
    async (layout) => {
      const receiver = await listen();
      const { processor } = startProcessor({ endpoint: receiver.endpoint, layout, scheduledDelayMillis: 0 });
      let detected = (_: string) => {};
      const hostId = new Promise<string>((resolve) => {
        detected = resolve;
      });
      const resource = resourceFromAttributes({ 'service.name': 'svc', 'host.id': hostId });
      const logger = loggerOf([processor], { resource });
      for (const body of ['first', 'second']) logger.emit({ body });
      const flushed = logger.forceFlush();
      detected('h1');
      await flushed;
      logger.emit({ body: 'third' });
      await logger.forceFlush();
      const attributes = { 'service.name': 'svc', 'host.id': 'h1' };
      const resources = contents(receiver).flatMap(({ resource: sent }) => (sent === undefined ? [] : [sent]));
      if (layout === 'otlp') expect(resources).toEqual([{ attributes }, { attributes }]);
      else expect(resources).toEqual([attributes, attributes, attributes]);
      // The SDK logs an error if the attributes of a pending resource are read.
      expect(log.filter(([level]) => level === 'error' || level === 'warn')).toEqual([]);
    },
  );

  it('records are sent with the known attributes if a detector fails', async () => {
    const receiver = await listen();
    const { processor } = startProcessor({ endpoint: receiver.endpoint });
    const hostId = Promise.reject(new Error('no metadata service'));
    const logger = loggerOf([processor], {
      resource: resourceFromAttributes({ 'service.name': 'svc', 'host.id': hostId }),
    });
    logger.emit({ body: 'first' });
    await logger.forceFlush();
    expect(contents(receiver)).toMatchObject([{ message: 'first', resource: { 'service.name': 'svc' } }]);
  });
});

describe('slow receivers', () => {
  it('a receiver that acknowledges slowly and steadily gets each record once', async () => {
    const ACK_MILLIS = 400;
    let released = 0;
    let nextAckAt = 0;
    const receiver = await listen();
    const clock: FakeClock = new FakeClock(async () => {
      await settle();
      // The sockets have done their part: the receiver has what was sent, and its acks have arrived.
      await until(() => {
        const { connections, acknowledged } = processor.stats();
        const inFlight = connections.reduce((sum, { inFlightChunks }) => sum + inFlightChunks, 0);
        const isConnecting = connections.some(({ state }) => state === 'connecting');
        return !isConnecting && acknowledged.records === released && inFlight === receiver.messageCount - released;
      });
    });
    receiver.messageFaults = () => {
      nextAckAt = Math.max(nextAckAt, clock.now()) + ACK_MILLIS;
      const at = nextAckAt - clock.now();
      return {
        kind: 'delay',
        until: new Promise<void>((resolve) => void clock.after(at, () => resolve(void released++))),
      };
    };
    const options = { endpoint: receiver.endpoint, ackTimeoutMillis: 1_000, rotationIntervalMillis: 0 };
    const { processor, emit } = startProcessor(options, clock);
    const bodies = Array.from({ length: 60 }, (_, i) => `${i}`);
    // More than it acknowledges, so that chunks wait on the connection for longer than ackTimeoutMillis.
    for (const body of bodies) {
      emit({ body });
      await clock.advance(200);
    }
    for (let i = 0; i < 100 && processor.stats().held.records > 0; i++) await clock.advance(ACK_MILLIS);
    expect(messages(receiver)).toEqual(bodies);
    expect(processor.stats()).toMatchObject({ resent: { records: 0 }, acknowledged: { records: 60 } });
    expect(warnings()).toEqual([]);
  });
});
