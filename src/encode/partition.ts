import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import type { Group, Layout } from './layout/layout.ts';

type Records = readonly ReadableLogRecord[];

/** Splits records by the groups that they belong to; `unreadable` gets the error for one that cannot tell its group. */
export function byGroup(
  records: Records,
  groupOf: NonNullable<Layout['groupOf']>,
  unreadable: (error: unknown) => void,
): Iterable<{ readonly group: Group; readonly records: Records }> {
  const parts = new Map<string, { readonly group: Group; readonly records: ReadableLogRecord[] }>();
  for (const record of records) {
    let group: Group;
    try {
      group = groupOf(record);
    } catch (error) {
      unreadable(error);
      continue;
    }
    const part = parts.get(group.key);
    if (part === undefined) parts.set(group.key, { group, records: [record] });
    else part.records.push(record);
  }
  return parts.values();
}
