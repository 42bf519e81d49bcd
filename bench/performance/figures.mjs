import { ratio, spread } from '../support/statistics.mjs';

/**
 * One figure of several subjects, and how the first of them compares with the others, round by round.
 * Where less is better the ratio is turned, so that more than 1 always speaks for the first.
 */
export function compare(outcomes, figure, { moreIsBetter }) {
  const names = Object.keys(outcomes);
  const valuesOf = (name) => outcomes[name].map((outcome) => outcome[figure]);
  const own = valuesOf(names[0]);
  return names.map((subject) => {
    const values = valuesOf(subject);
    const advantage = subject === names[0] ? undefined : moreIsBetter ? ratio(own, values) : ratio(values, own);
    return { subject, ...spread(values), advantage };
  });
}

/** A goal for a figure, and what it came to. */
export function goal(name, { least, most }, measured) {
  return {
    name,
    least,
    most,
    measured,
    isReached: measured >= (least ?? Number.NEGATIVE_INFINITY) && measured <= (most ?? Number.POSITIVE_INFINITY),
  };
}
