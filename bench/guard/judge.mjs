/**
 * Holds figures against what they were.
 *
 * @param expected by figure: what it `was`, and what it may come to, `least` or `most`
 * @returns each figure with what is wrong with it, if anything is
 */
export function judge(measured, expected) {
  for (const figure of Object.keys(expected)) {
    if (!Object.hasOwn(measured, figure)) throw new Error(`not measured: ${figure}`);
  }
  return Object.entries(measured).map(([figure, value]) => {
    if (!Object.hasOwn(expected, figure)) throw new Error(`not expected: ${figure}`);
    const { was, least = Number.NEGATIVE_INFINITY, most = Number.POSITIVE_INFINITY } = expected[figure];
    // A figure that is no number is none to be content with.
    const isKept = value >= least && value <= most;
    const bound = value < least ? `at least ${least}` : `at most ${most}`;
    return {
      figure,
      was,
      value,
      fault: isKept ? undefined : `${figure}: from ${was} to ${round(value)}, allowed ${bound}`,
    };
  });
}

function round(value) {
  return Number(value.toPrecision(3));
}
