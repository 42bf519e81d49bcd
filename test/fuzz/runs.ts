/** In all of test/fuzz; `npm run fuzz` sets more. */
const INPUTS = Number(process.env.FUZZ_INPUTS ?? 20_000);
/** Always the same but in `npm run fuzz`: a failure in CI must be one that the last change made. */
const SEED = Number(process.env.FUZZ_SEED ?? 20_231_114);

/** A test's part of a run, as fast-check takes it. */
export interface Batch {
  readonly seed: number;
  readonly numRuns: number;
}

/** A share of a run's inputs in batches of at most `size`, each a test of its own: they show how far it is. */
export function batches(share: number, size: number): [name: string, Batch][] {
  const inputs = Math.ceil(INPUTS * share);
  return Array.from({ length: Math.ceil(inputs / size) }, (_, i) => {
    const end = Math.min(inputs, (i + 1) * size);
    const name = `inputs up to ${end.toLocaleString('en-US')} of ${inputs.toLocaleString('en-US')} (FUZZ_SEED=${SEED})`;
    return [name, { seed: (SEED + i) | 0, numRuns: end - i * size }];
  });
}
