import { ROOT_CONTEXT, trace } from '@opentelemetry/api';
import { type AnyValue, SeverityNumber } from '@opentelemetry/api-logs';
import type { LoggerProvider, LoggerProviderOptions } from '@opentelemetry/sdk-logs';
import { expect, it } from 'vitest';
import type { LayoutName } from '../../src/encode/layout/layouts.ts';
import { FluentForwardLogRecordProcessor } from '../../src/index.ts';
import { ForwardReceiver } from '../../src/testing/index.ts';
import { decodeMessage } from '../../src/testing/message.ts';
import { LONG_LIMITS } from '../support/long-limits.ts';
import { batchEncoder, decodeChunk, emitted, NOW } from '../support/records.ts';
import { SDKS, type Sdk } from './sdks.ts';

const { timeoutMillis: _, ...LIMITS } = LONG_LIMITS;
const RECORDS = 40;

function providerOptions(sdk: Sdk): LoggerProviderOptions {
  const resource = sdk.resourceFromAttributes({ 'service.name': 'svc', list: ['a', 'b'] }, { schemaUrl: 'https://r' });
  return { resource, logRecordLimits: { attributeCountLimit: 8 } };
}

/** Emits the same records, whatever the SDK is. */
function emitRecords(provider: LoggerProvider): void {
  const bare = provider.getLogger('bare');
  const full = provider.getLogger('lib', '1.0', { schemaUrl: 'https://s', attributes: { part: 'db' } });
  for (let i = 0; i < 20; i++) {
    const timestamp: [number, number] = [1_700_000_000 + i, 111_111_111];
    const observedTimestamp: [number, number] = [1_700_000_001 + i, 222_222_222];
    bare.emit({ timestamp, observedTimestamp, body: i });
    full.emit({
      timestamp,
      observedTimestamp,
      severityNumber: SeverityNumber.WARN2,
      severityText: 'WARN',
      eventName: 'order.placed',
      body: {
        i,
        list: [null, 1.5, -0],
        bytes: Uint8Array.of(i),
        text: 'ü\0😀',
        at: new Date(i),
      } as unknown as AnyValue,
      attributes: {
        n: i,
        big: 2 ** 40,
        ratio: i / 7,
        yes: true,
        list: ['a', 'b'],
        map: { a: { b: 1 } },
        bytes: Uint8Array.of(1, 2),
        ...Object.fromEntries(Array.from({ length: i }, (_, n) => [`more.${n}`, n])),
      },
      context: trace.setSpanContext(ROOT_CONTEXT, {
        traceId: `${i}`.padStart(32, 'a'),
        spanId: `${i}`.padStart(16, 'b'),
        traceFlags: i % 2,
      }),
    });
  }
}

/** The bytes of the entries for the records, emitted through an SDK. */
async function payload(sdk: Sdk, layout: LayoutName): Promise<Buffer> {
  const records = await emitted(providerOptions(sdk), emitRecords, sdk);
  expect(records).toHaveLength(RECORDS);
  const { chunks } = batchEncoder({ layout }).encode(records, NOW);
  return Buffer.concat(chunks.map((chunk) => decodeChunk(chunk).payload));
}

it.each<LayoutName>(['default', 'flat', 'otlp'])(
  'both lines of the SDK give the same bytes in the layout %s',
  async (layout) => {
    const [one, other] = await Promise.all(SDKS.map(({ sdk }) => payload(sdk, layout)));
    expect(one?.length).toBeGreaterThan(5_000);
    expect(other?.equals(one as Buffer)).toBe(true);
  },
);

it.each<LayoutName>(['default', 'flat', 'otlp'])(
  'FluentForwardLogRecordProcessor sends the same entries on both lines of the SDK as the exporter: %s',
  async (layout) => {
    const received = await Promise.all(SDKS.map(({ sdk }) => throughProcessor(sdk, layout)));
    const records = await emitted(providerOptions(SDKS[0]?.sdk as Sdk), emitRecords, SDKS[0]?.sdk as Sdk);
    const { chunks } = batchEncoder({ layout }).encode(records, NOW);
    const expected = chunks.flatMap(({ bytes }) => decodeMessage(bytes, 0).entries.map(({ record }) => record));
    for (const entries of received) expect(entries).toEqual(expected);
  },
);

/** The entries that a receiver gets if a processor is used with an SDK. */
async function throughProcessor(sdk: Sdk, layout: LayoutName): Promise<unknown[]> {
  const receiver = await ForwardReceiver.listen();
  const processor = new FluentForwardLogRecordProcessor({ ...LIMITS, endpoint: receiver.endpoint, layout });
  const provider = new sdk.LoggerProvider({ ...providerOptions(sdk), processors: [processor] });
  emitRecords(provider);
  await provider.forceFlush();
  expect(processor.stats()).toMatchObject({ emitted: RECORDS, acknowledged: { records: RECORDS }, droppedRecords: 0 });
  await provider.shutdown();
  await receiver.close();
  return receiver.entries.map(({ record }) => record);
}
