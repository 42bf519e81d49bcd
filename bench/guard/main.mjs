// Looks whether the exporter has become more expensive, by figures that a busy machine does not change: `npm run bench:guard`.
import { copies, encoding } from './encoding.mjs';
import { EXPECTED } from './expected.mjs';
import { judge } from './judge.mjs';
import { sending } from './sending.mjs';

const measured = { ...copies(), ...(await sending()), ...(await encoding()) };
const verdicts = judge(measured, EXPECTED);
const rounded = (value) => Number(value.toPrecision(3));
console.table(
  Object.fromEntries(
    verdicts.map(({ figure, was, value }) => [figure, { was, is: rounded(value), ...EXPECTED[figure] }]),
  ),
);
const faults = verdicts.flatMap(({ fault }) => fault ?? []);
if (faults.length > 0) {
  console.error(
    `Failed:\n${faults.map((fault) => `  ${fault}`).join('\n')}\nIf it is worth it, say so in bench/guard/expected.mjs.`,
  );
  process.exitCode = 1;
}
