import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import type { Group, Layout } from './layout/layout.ts';
import type { Tagger } from './tag.ts';

type Records = readonly ReadableLogRecord[];

/** The most tags of a batch. Each tag needs a message of its own. */
export const MAX_TAGS = 64;

/**
 * Splits records by their tags. After {@link MAX_TAGS} different tags, records with further tags get the fallback,
 * and `leftOver` is called with their number.
 */
export function byTag(records: Records, tagger: Tagger, leftOver: (records: number) => void): Map<string, Records> {
  const parts = new Map<string, ReadableLogRecord[]>();
  let left = 0;
  for (const record of records) {
    const tag = tagger.tagOf(record);
    if (parts.has(tag) || parts.size < MAX_TAGS) {
      add(parts, tag, record);
    } else {
      add(parts, tagger.fallback, record);
      if (tag !== tagger.fallback) left++;
    }
  }
  if (left > 0) leftOver(left);
  return parts;
}

/** Splits records by their groups. Calls `unreadable` with the error for each record whose group cannot be read. */
export function byGroup(
  records: Records,
  groupOf: NonNullable<Layout['groupOf']>,
  unreadable: (error: unknown) => void,
): Iterable<{ readonly group: Group; readonly records: Records }> {
  const parts = new Map<string, { readonly group: Group; readonly records: ReadableLogRecord[] }>();
  for (const record of records) {
    let group: Group;
    try {
      group = groupOf(record.resource, record.instrumentationScope);
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

function add(parts: Map<string, ReadableLogRecord[]>, tag: string, record: ReadableLogRecord): void {
  const records = parts.get(tag);
  if (records === undefined) parts.set(tag, [record]);
  else records.push(record);
}
