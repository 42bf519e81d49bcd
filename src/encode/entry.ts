import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import type { WallTime } from '../clock.ts';
import type { Layout } from './layout/layout.ts';
import type { Resource } from './resource.ts';
import type { ValueWriter } from './value.ts';
import { TooLargeError } from './writer.ts';

/**
 * Writes the entry of a record, of at most `maxBytes`. Returns false if the layout leaves the record out. Throws if the
 * record cannot be encoded. In both cases nothing is written.
 */
export function writeEntry(
  layout: Layout,
  values: ValueWriter,
  maxBytes: number,
  record: ReadableLogRecord,
  now: WallTime,
  resource: Resource | undefined,
): boolean {
  const { writer } = values;
  const start = writer.position;
  const limit = start + maxBytes;
  writer.limit = limit;
  let isWritten = false;
  try {
    isWritten = layout.write(values, record, now, resource);
    if (writer.position > limit) {
      isWritten = false;
      throw new TooLargeError();
    }
    return isWritten;
  } finally {
    if (!isWritten) writer.position = start;
  }
}
