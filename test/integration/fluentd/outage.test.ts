import { setTimeout as sleep } from 'node:timers/promises';
import { LoggerProvider } from '@opentelemetry/sdk-logs';
import { expect, test } from 'vitest';
import { FluentForwardLogRecordProcessor } from '../../../src/index.ts';
import { LONG_LIMITS } from '../../support/long-limits.ts';
import { recordOf } from '../../support/receiver-process.mjs';
import { Fluentd } from './fluentd.ts';

/** `npm run outage` sets longer ones. */
const OUTAGES_SECONDS = (process.env.OUTAGE_SECONDS ?? '14').split(',').map(Number);
const RECORDS_PER_SECOND = 500;
/** Before the outage and after it. */
const FLOW_SECONDS = 3;
const ROUND_MILLIS = 20;
const RECORDS_PER_ROUND = (RECORDS_PER_SECOND * ROUND_MILLIS) / 1_000;

const { timeoutMillis: _, ...LIMITS } = LONG_LIMITS;

test.for(OUTAGES_SECONDS)(
  'no record is lost if Fluentd is away for %i s while 500 records a second are logged through the processor',
  { timeout: 600_000 },
  async (seconds, { annotate }) => {
    const fluentd = await Fluentd.start();
    const processor = new FluentForwardLogRecordProcessor({ ...LIMITS, endpoint: fluentd.endpoint });
    const logger = new LoggerProvider({ processors: [processor] }).getLogger('outage');
    let emitted = 0;
    /** A busy machine takes longer, but no fewer records come. */
    const logFor = async (duration: number) => {
      for (const end = emitted + duration * RECORDS_PER_SECOND; emitted < end; ) {
        const round = sleep(ROUND_MILLIS);
        for (let i = 0; i < RECORDS_PER_ROUND; i++) logger.emit({ body: `record ${emitted++}`, severityNumber: 9 });
        await round;
      }
    };

    await logFor(FLOW_SECONDS);
    const unacknowledged = emitted - processor.stats().acknowledged.records;
    await fluentd.kill('SIGKILL');
    await logFor(seconds);
    const { held } = processor.stats();
    await fluentd.start();
    await logFor(FLOW_SECONDS);
    await processor.forceFlush();
    const stats = processor.stats();
    await processor.shutdown();

    const received = (await fluentd.output()).flatMap((line) => recordOf(line)?.message ?? []);
    const distinct = new Set(received);
    const lost = Array.from({ length: emitted }, (_, i) => `record ${i}`).filter((body) => !distinct.has(body));
    const duplicates = received.length - distinct.size;
    expect(lost).toEqual([]);
    expect(stats).toMatchObject({ emitted, acknowledged: { records: emitted }, held: { records: 0 } });
    // All that was logged meanwhile was held.
    expect(held.records).toBeGreaterThanOrEqual(seconds * RECORDS_PER_SECOND);
    expect(duplicates).toBeLessThanOrEqual(unacknowledged);
    await annotate(`outage of ${seconds} s: ${emitted} records, 0 lost, ${duplicates} duplicates`);
  },
);
