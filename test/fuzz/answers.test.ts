import fc from 'fast-check';
import { expect, it } from 'vitest';
import { AnswerReader } from '../../src/protocol/answer.ts';
import { FrameError } from '../../src/protocol/frame.ts';
import { hostileBytes, INPUTS, SEED } from './inputs.ts';
import { acksIn } from './oracle.ts';

/** Most inputs go here, where one takes microseconds. */
const SHARE = 0.9;
const LIMIT_MILLIS = 60 * 60_000;
const MEMORY_LIMIT_BYTES = 64 * 2 ** 20;

interface Reading {
  readonly answers: readonly unknown[];
  /** Why the stream could not be read on. */
  readonly refusal: string | undefined;
}

function read(parts: readonly Buffer[]): Reading {
  const reader = new AnswerReader();
  const answers: unknown[] = [];
  try {
    for (const part of parts) for (const answer of reader.push(part)) answers.push(answer);
  } catch (error) {
    if (!(error instanceof FrameError)) throw error;
    return { answers, refusal: error.message };
  }
  return { answers, refusal: undefined };
}

function split(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const places = [0, ...cuts.map((cut) => Math.floor(cut * bytes.length)).sort((a, b) => a - b), bytes.length];
  return places.slice(1).map((end, i) => bytes.subarray(places[i], end));
}

it('whatever a server sends is an answer or refused, the same however it is split, and acknowledges what it says', {
  timeout: LIMIT_MILLIS,
}, () => {
  collectGarbage();
  const before = process.memoryUsage.rss();
  let acknowledged = 0;
  let refused = 0;
  const cuts = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 5 });
  const property = fc.property(hostileBytes(), cuts, (bytes, places) => {
    const whole = read([bytes]);
    expect(read(split(bytes, places))).toEqual(whole);
    const acks = whole.answers.flatMap((answer) => (answer as { chunk?: string }).chunk ?? []);
    expect(acks).toEqual(acksIn(bytes).slice(0, acks.length));
    if (whole.refusal !== undefined) refused++;
    acknowledged += acks.length;
  });
  fc.assert(property, { seed: SEED, numRuns: Math.ceil(INPUTS * SHARE), endOnFailure: false });
  // Both ends are reached.
  expect(refused).toBeGreaterThan(INPUTS * 0.1);
  expect(acknowledged).toBeGreaterThan(INPUTS * 0.1);
  collectGarbage();
  expect(process.memoryUsage.rss() - before).toBeLessThan(MEMORY_LIMIT_BYTES);
});

function collectGarbage(): void {
  (globalThis.gc as NodeJS.GCFunction)();
}
