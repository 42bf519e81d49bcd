import { ROOT_CONTEXT, trace } from '@opentelemetry/api';
import { type AnyValue, SeverityNumber } from '@opentelemetry/api-logs';
import { expect, it } from 'vitest';
import type { LayoutName } from '../../src/encode/layout/layouts.ts';
import { batchEncoder, decodeChunk, emitted, NOW } from '../support/records.ts';
import { SDKS, type Sdk } from './sdks.ts';

/** The bytes of the entries for the same records, emitted through an SDK. */
async function payload(sdk: Sdk, layout: LayoutName): Promise<Buffer> {
  const resource = sdk.resourceFromAttributes({ 'service.name': 'svc', list: ['a', 'b'] }, { schemaUrl: 'https://r' });
  const records = await emitted(
    { resource, logRecordLimits: { attributeCountLimit: 8 } },
    (provider) => {
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
    },
    sdk,
  );
  expect(records).toHaveLength(40);
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
