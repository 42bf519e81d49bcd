const { FUZZ_RUNS, FUZZ_SEED } = process.env;

/**
 * How often properties are tried: always the same runs, as a failure must be one that the last change
 * made. `npm run fuzz` sets FUZZ_RUNS, and another FUZZ_SEED each time.
 */
export const RUNS: { readonly numRuns: number; readonly seed: number } = {
  numRuns: Number(FUZZ_RUNS ?? 500),
  seed: Number(FUZZ_SEED ?? 20_231_114),
};
