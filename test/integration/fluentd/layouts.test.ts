import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { FluentForwardLogExporter } from '../../../src/index.ts';
import { recordFields } from '../../support/arbitraries.ts';
import { expectedEntry, type PlainRecord } from '../../support/expected-entry.ts';
import { LONG_LIMITS } from '../../support/long-limits.ts';
import { NOW, record } from '../../support/records.ts';
import { asJson } from './as-json.ts';
import { Fluentd } from './fluentd.ts';
import { RecordingExporter } from './recording-exporter.ts';

const RECORDS = 5_000;
const BATCH = 250;

const records = fc
  .sample(recordFields, { numRuns: RECORDS, seed: 20_231_114 })
  // The test finds a record again by its time, which no other has.
  .map((fields, n) => record({ ...fields, hrTime: [1_700_000_000 + n, (n * 123_456_789) % 1_000_000_000] }));

test.each(['default', 'flat'] as const)(
  'Fluentd gets 5,000 records with random values field for field in the layout %s',
  { timeout: 300_000 },
  async (layout) => {
    const fluentd = await Fluentd.start();
    const { endpoint } = fluentd;
    const recorder = new RecordingExporter(new FluentForwardLogExporter({ ...LONG_LIMITS, endpoint, layout }));
    for (let n = 0; n < RECORDS; n += BATCH) {
      await new Promise((done) => recorder.export(records.slice(n, n + BATCH), done));
    }
    await recorder.shutdown();
    expect(recorder.failures).toEqual([]);

    const lines = await fluentd.output();
    expect(fluentd.complaints).toEqual([]);
    expect(lines).toHaveLength(RECORDS);
    const byTime = new Map(lines.map((line) => [(JSON.parse(line) as { fluent_time: string }).fluent_time, line]));
    const wrong: unknown[] = [];
    for (const given of records) {
      const { time, record: fields } = expectedEntry(layout, given as unknown as PlainRecord, NOW);
      const fluent_time = `${time[0]}.${String(time[1]).padStart(9, '0')}`;
      const { json, digits } = asJson({ ...fields, fluent_tag: 'opentelemetry.logs', fluent_time });
      const line = byTime.get(fluent_time) ?? '{}';
      const received: unknown = JSON.parse(line);
      if (!isDeepStrictEqual(received, json) || !digits.every((digit) => line.includes(digit))) {
        wrong.push({ received, expected: json });
      }
    }
    expect(wrong.slice(0, 3)).toEqual([]);
  },
);
