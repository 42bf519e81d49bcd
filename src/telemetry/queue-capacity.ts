import type { Counters } from '../stats.ts';

/** The memory of what is not settled, and its bound. */
export interface MemoryUse {
  readonly usedBytes: number;
  readonly limitBytes: number;
}

/**
 * How many records a processor can hold. The bound is in bytes, so this is an estimate: the records that are held, and
 * those that the rest of the memory has room for. They are expected to be as large as the mean of all records so far,
 * because the mean of the few that are held at a quiet moment varies much. The estimate becomes exact as the memory
 * fills. Undefined before the first record.
 */
export function queueCapacity(
  { acknowledged, heldRecords }: Counters,
  { usedBytes, limitBytes }: MemoryUse,
): number | undefined {
  const records = acknowledged.records + heldRecords;
  const bytes = acknowledged.bytes + usedBytes;
  if (records === 0 || bytes === 0) return undefined;
  const roomBytes = Math.max(0, limitBytes - usedBytes);
  return heldRecords + Math.floor((roomBytes * records) / bytes);
}
