import { quantileSorted, sort } from 'd3-array';

/** What many passes come to. */
export function spread(values) {
  const sorted = sort(values);
  return { median: quantileSorted(sorted, 0.5), p10: quantileSorted(sorted, 0.1), p90: quantileSorted(sorted, 0.9) };
}

/** How many times as much one is as the other, round by round, so that what disturbs a round disturbs both. */
export function ratio(values, others) {
  return spread(values.map((value, round) => value / others[round]));
}
