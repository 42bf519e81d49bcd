import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';

/** Sources of numbers from 0 to 1, one for each client of a run; the same for the same seed. */
export function randomSources(seed, count) {
  const generator = xoroshiro128plus(seed);
  return Array.from({ length: count }, () => {
    // Far apart in one sequence: no two clients draw the same numbers.
    generator.jump();
    const own = generator.clone();
    return () => uniformFloat64(own);
  });
}
