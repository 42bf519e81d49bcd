import { randomBytes } from 'node:crypto';
import type { SeverityNumber } from '@opentelemetry/api-logs';
import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import { systemClock } from '../../clock.ts';

/** The tag that test records have unless another is asked for. */
export const TEST_TAG = 'fluent_forward.doctor';
/** The attribute that marks them; its value is that of the run. */
export const TEST_ATTRIBUTE = 'fluent_forward.doctor';

const NAME = 'fluent-forward doctor';
const INFO: SeverityNumber.INFO = 9;
const COMPRESSIBLE_REPEATS = 200;
const MAX_FILLER_BYTES = 1024;

/** Makes the records of one run. */
export class TestRecords {
  /** What this run's records have as the attribute's value. */
  readonly run: string = randomBytes(4).toString('hex');

  /** A record for a check, with more attributes. */
  create(check: string, attributes: Readonly<Record<string, unknown>> = {}): ReadableLogRecord {
    const time = systemClock.wallTime();
    const record: object = {
      hrTime: time,
      hrTimeObserved: time,
      severityNumber: INFO,
      severityText: 'INFO',
      body: `test record of ${NAME}: ${check}`,
      attributes: { [TEST_ATTRIBUTE]: this.run, ...attributes },
      resource: { attributes: { 'service.name': NAME }, asyncAttributesPending: false },
      instrumentationScope: { name: NAME },
      droppedAttributesCount: 0,
    };
    return record as ReadableLogRecord;
  }

  /** One that is worth compressing. */
  createCompressible(check: string): ReadableLogRecord {
    return this.create(check, { filler: 'fluent '.repeat(COMPRESSIBLE_REPEATS) });
  }

  /** One whose encoding takes about so many bytes, which hardly compress. */
  createLarge(check: string, bytes: number, maxStringBytes: number): ReadableLogRecord {
    const filler: string[] = [];
    const size = Math.min(MAX_FILLER_BYTES, maxStringBytes);
    for (let left = bytes; left > 0; left -= size) {
      filler.push(randomBytes(size).toString('base64').slice(0, Math.min(size, left)));
    }
    return this.create(check, { filler });
  }
}
