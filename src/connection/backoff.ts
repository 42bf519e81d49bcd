/** A delay before each next try that doubles from `firstMillis` to `capMillis`, then a random half of it off. */
export function backoffDelay(failures: number, firstMillis: number, capMillis: number, random: () => number): number {
  const full = Math.min(capMillis, firstMillis * 2 ** Math.min(failures - 1, 30));
  return full * (1 - random() / 2);
}
