import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Finished } from '../support/run-program.ts';
import { ENDINGS, type Ended, Endings, type Run, runsOf, runWithout } from './endings.ts';

/** `npm run exits` sets more, and another seed. */
const RUNS = Number(process.env.EXIT_RUNS ?? 2);
const SEED = Number(process.env.EXIT_SEED ?? 20_231_114);
const AT_ONCE = 2;
/** So often a long proof shows how far it is. */
const PROGRESS_RUNS = 20;
const LIMIT = { timeout: 3_600_000 };

const endings = new Endings();

beforeAll(() => endings.listen());
afterAll(() => endings.close());

describe('the end of a process', () => {
  it.for(ENDINGS)('no record is lost, and nothing else changes: %s', LIMIT, async (ending, { annotate }) => {
    const all: Ended[] = [];
    const left = [...runsOf(ending, RUNS, SEED)];
    const work = async () => {
      for (let run = left.shift(); run !== undefined; run = left.shift()) {
        all.push(await runAndCompare(run));
        if (all.length % PROGRESS_RUNS === 0) process.stdout.write(`${ending}: ${all.length} of ${RUNS} runs\n`);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    expect(all).toHaveLength(RUNS);
    await annotate(describeAll(all));
  });
});

async function runAndCompare(run: Run): Promise<Ended> {
  const ended = await endings.run(run);
  const without = await endWithout(run);
  expect({ run, lost: ended.lost, ...visible(ended.finished) }).toEqual({ run, lost: [], ...visible(without) });
  return ended;
}

const known = new Map<string, Promise<Finished>>();

/** The end of the same program without this package, which is always the same. */
function endWithout(run: Run): Promise<Finished> {
  const key = `${run.ending} ${run.format}`;
  const finished = known.get(key) ?? runWithout(run);
  known.set(key, finished);
  return finished;
}

/** What is seen of the end. The names of the programs differ. */
function visible({ code, signal, stderr }: Finished) {
  return { code, signal, stderr: stderr.replaceAll(/(in-code|through-api)\.[cm]js:\d+:\d+/g, 'program') };
}

function describeAll(all: readonly Ended[]): string {
  const sum = (number: (ended: Ended) => number) => all.reduce((total, ended) => total + number(ended), 0);
  const [logged, lost, duplicated] = [
    sum((ended) => ended.logged),
    sum((ended) => ended.lost.length),
    sum((ended) => ended.duplicated),
  ];
  return `${all.length} runs: ${logged} records, ${lost} lost, ${duplicated} duplicated`;
}
