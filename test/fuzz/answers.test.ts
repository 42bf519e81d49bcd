import { isDeepStrictEqual } from 'node:util';
import { Script } from 'node:vm';
import { decode, encode } from '@msgpack/msgpack';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Answer, AnswerReader, MAX_ANSWER_BYTES } from '../../src/protocol/answer.ts';
import { FrameError, FrameReader } from '../../src/protocol/frame.ts';
import { Handshake } from '../../src/protocol/handshake.ts';
import { grownBytes } from './memory.ts';
import { cuts, mutated, mutations, split } from './mutation.ts';
import { readingOf } from './oracle.ts';
import { batches } from './runs.ts';
import { digestOf, LOGIN, SALT, SESSIONS } from './sessions.ts';

/** Of a run's inputs. */
const SHARE = 0.98;
const BATCH = 25_000;
/** A batch takes a few seconds, on a busy machine half a minute. */
const BATCH_MILLIS = 300_000;
const MAX_GROWTH_BYTES = 24 * 1024 * 1024;
/** Small, so that many inputs are larger. */
const SMALL_CAP = 200;
/** Of a value that begins behind the cap its type and three of four bytes of length: with the last one it is refused. */
const HEADER_BYTES = 4;

const recorded = fc
  .tuple(fc.constantFrom(...SESSIONS), mutations)
  .map(([session, changes]) => mutated(session, changes));

const scalar = fc.oneof(
  fc.integer(),
  fc.double(),
  fc.boolean(),
  fc.constant(null),
  fc.string({ maxLength: 40 }),
  fc.uint8Array({ maxLength: 40 }),
  fc.constantFrom('HELO', 'PONG', 'ack'),
);
const key = fc.oneof(fc.constantFrom('ack', 'nonce', 'auth', 'keepalive'), fc.string({ maxLength: 4 }));
const { value: tree } = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    scalar,
    fc.array(tie('value'), { maxLength: 6 }),
    fc.dictionary(key, tie('value'), { maxKeys: 6 }),
  ),
}));
/** MessagePack that is well formed, and what becomes of it. */
const structured = fc
  .tuple(fc.array(tree, { minLength: 1, maxLength: 3 }), mutations)
  .map(([values, changes]) => mutated(Buffer.concat(values.map((value) => encode(value))), changes));

const noise = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes));

const streams = fc
  .oneof({ weight: 6, arbitrary: recorded }, { weight: 2, arbitrary: structured }, { weight: 2, arbitrary: noise })
  // So that nothing is refused for its size that the judge has seen the end of.
  .map((bytes) => bytes.subarray(0, MAX_ANSWER_BYTES));

interface Outcome {
  readonly answers: Answer[];
  readonly refusal: string | undefined;
  readonly isPartial: boolean;
}

function read(parts: readonly Buffer[]): Outcome {
  const reader = new AnswerReader();
  const answers: Answer[] = [];
  try {
    for (const part of parts) for (const answer of reader.push(part)) answers.push(answer);
  } catch (error) {
    if (!(error instanceof FrameError)) throw error;
    return { answers, refusal: error.message, isPartial: true };
  }
  return { answers, refusal: undefined, isPartial: reader.isPartial };
}

/** Faster than `expect`, and as clear where it fails. */
function same(actual: unknown, expected: unknown): void {
  if (!isDeepStrictEqual(actual, expected)) expect(actual).toStrictEqual(expected);
}

function checkAnswers(bytes: Buffer, places: readonly number[]): Answer[] {
  const outcome = read([bytes]);
  same(read(split(bytes, places)), outcome);
  const { answers, hasRest } = readingOf(bytes);
  // A key that comes twice hides from the judge how deep its first value was.
  if (!outcome.refusal?.startsWith('a message nested deeper')) {
    same({ answers: outcome.answers, hasRest: outcome.isPartial }, { answers, hasRest });
  }
  same(outcome.answers, answers.slice(0, outcome.answers.length));
  return outcome.answers;
}

/** What is held back never exceeds the cap, whatever is announced and however much follows. */
function checkCap(bytes: Buffer, places: readonly number[]): void {
  const reader = new FrameReader(SMALL_CAP);
  let held = 0;
  try {
    for (const part of [...split(bytes, places), Buffer.alloc(SMALL_CAP)]) {
      held += part.length;
      for (const frame of reader.push(part)) {
        if (frame.length > SMALL_CAP) expect.fail(`a frame of ${frame.length} bytes`);
        held -= frame.length;
      }
      if (held > SMALL_CAP + HEADER_BYTES) expect.fail(`${held} bytes are held`);
      same(reader.isPartial, held > 0);
    }
  } catch (error) {
    if (!(error instanceof FrameError)) throw error;
  }
}

/** Trusts who proves that it knows the key under another name, and nobody else. */
function checkHandshake(answers: readonly Answer[]): void {
  const handshake = new Handshake(LOGIN, SALT);
  let nonce: Buffer | undefined;
  for (const answer of answers) {
    if (answer.kind === 'hello') {
      const { hello } = answer;
      nonce = hello.nonce;
      const proof = digestOf(SALT, LOGIN.hostname, nonce, LOGIN.sharedKey);
      same(decode(handshake.ping(hello)), ['PING', LOGIN.hostname, SALT, proof, '', digestOf(hello.auth, '', '')]);
    } else if (answer.kind === 'pong' && nonce !== undefined) {
      const { isAccepted, hostname, digest } = answer.pong;
      const proof = Buffer.from(digestOf(SALT, hostname, nonce, LOGIN.sharedKey));
      const isTrusted = isAccepted && !hostname.equals(Buffer.from(LOGIN.hostname)) && digest.equals(proof);
      const failure = handshake.check(answer.pong);
      same(failure === undefined, isTrusted);
      if (/\p{Cc}/u.test(failure?.reason ?? '')) expect.fail(`control characters in ${JSON.stringify(failure)}`);
    }
  }
}

/** Ends `action` even if it never returns to the event loop, and reports its current input. */
function withinTime(action: () => void, current: () => Buffer): void {
  try {
    new Script('action()').runInNewContext({ action }, { timeout: BATCH_MILLIS });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_SCRIPT_EXECUTION_TIMEOUT') throw error;
    expect.fail(`still busy after ${BATCH_MILLIS} ms, with ${current().toString('hex')}`);
  }
}

describe('AnswerReader', () => {
  it.each(batches(SHARE, BATCH))(
    'AnswerReader reads what an independent decoder reads or refuses the stream: %s',
    async (_, { seed, numRuns }) => {
      let current: Buffer = Buffer.alloc(0);
      const property = fc.property(streams, cuts, (bytes, places) => {
        current = bytes;
        checkHandshake(checkAnswers(bytes, places));
        checkCap(bytes, places);
      });
      const grown = await grownBytes(() =>
        withinTime(
          () => fc.assert(property, { seed, numRuns }),
          () => current,
        ),
      );
      expect(grown).toBeLessThan(MAX_GROWTH_BYTES);
    },
    2 * BATCH_MILLIS,
  );
});
