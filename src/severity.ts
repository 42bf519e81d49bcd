/** The ranges of severity numbers in OpenTelemetry, and `unset` for all other values. */
export const SEVERITY_RANGES = ['unset', 'TRACE', 'DEBUG', 'INFO', 'WARN', 'ERROR', 'FATAL'] as const;

const NUMBERS_PER_RANGE = 4;
/** The lowest severity number of the range WARN. */
const WARN_NUMBER = 13;

/** Whether a severity is below WARN. A record without one counts as INFO. */
export function isBelowWarn(severityNumber: unknown): boolean {
  return !(typeof severityNumber === 'number' && severityNumber >= WARN_NUMBER);
}

/** Counts of records by the ranges of their severities. */
export class SeverityCounts {
  /** By the index in {@link SEVERITY_RANGES}. */
  readonly #counts: number[] = SEVERITY_RANGES.map(() => 0);
  #total = 0;

  get total(): number {
    return this.#total;
  }

  add(severityNumber: unknown): void {
    this.#add(indexOf(severityNumber), 1);
  }

  addAll(other: SeverityCounts): void {
    for (const [index, count] of other.#counts.entries()) this.#add(index, count);
  }

  #add(index: number, count: number): void {
    this.#counts[index] = (this.#counts[index] as number) + count;
    this.#total += count;
  }

  /** The ranges that have records, the most severe first, such as `ERROR 2, INFO 40`. */
  toString(): string {
    const parts = SEVERITY_RANGES.map((range, index) => [range, this.#counts[index]] as const);
    const counted = parts.filter(([, count]) => count !== 0).reverse();
    return counted.map(([range, count]) => `${range} ${count}`).join(', ');
  }
}

function indexOf(severityNumber: unknown): number {
  const range = typeof severityNumber === 'number' ? Math.floor((severityNumber - 1) / NUMBERS_PER_RANGE) + 1 : 0;
  return range > 0 && range < SEVERITY_RANGES.length ? range : 0;
}
