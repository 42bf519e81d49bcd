/** The records that something has got, and those of them that are not settled. */
export interface RecordCounts {
  readonly emitted: number;
  readonly held: number;
}

/** Flushes all at once. Resolves with whether all that was emitted before is settled. */
export async function flushAll<T>(
  all: Iterable<T>,
  flush: (each: T) => Promise<void>,
  countsOf: (each: T) => RecordCounts,
): Promise<boolean> {
  const flushed = [...all].map(async (each) => {
    const before = countsOf(each).emitted;
    await flush(each);
    const { emitted, held } = countsOf(each);
    return held <= emitted - before;
  });
  return (await Promise.all(flushed)).every((isSettled) => isSettled);
}
