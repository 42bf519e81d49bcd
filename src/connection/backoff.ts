const FIRST_MILLIS = 100;
const CAP_MILLIS = 5_000;

/**
 * How long to wait after so many failures: doubling from 100 ms up to 5 s, with a random part of up
 * to a half taken off. Other limits are for what may wait longer.
 */
export function backoffDelay(
  failures: number,
  random: () => number,
  { firstMillis, capMillis }: { firstMillis: number; capMillis: number } = {
    firstMillis: FIRST_MILLIS,
    capMillis: CAP_MILLIS,
  },
): number {
  const full = Math.min(capMillis, firstMillis * 2 ** (failures - 1));
  return full * (1 - random() / 2);
}
