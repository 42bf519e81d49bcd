const DEFAULT_LIMITS = { firstMillis: 100, capMillis: 5_000 };

/**
 * Returns how many milliseconds to wait after this many failures: 100 ms, doubled with each failure, and 5 s at most. A
 * random part of up to a half is taken off. `limits` replaces the 100 ms and the 5 s.
 */
export function backoffDelay(
  failures: number,
  random: () => number,
  { firstMillis, capMillis }: { readonly firstMillis: number; readonly capMillis: number } = DEFAULT_LIMITS,
): number {
  const full = Math.min(capMillis, firstMillis * 2 ** (failures - 1));
  return full * (1 - random() / 2);
}
