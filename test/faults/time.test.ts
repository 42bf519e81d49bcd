import { afterEach, describe, expect, vi } from 'vitest';
import { FakeClock, settle, until } from '../support/fake-clock.ts';
import { LONG_LIMITS } from '../support/long-limits.ts';
import { ChildReceiver } from './children.ts';
import {
  ACK_LOST,
  BACKOFF_MILLIS,
  type FaultCase,
  sendAndAwaitArrival,
  sendAndAwaitWarning,
  testFaults,
} from './fault-case.ts';
import type { FaultRun } from './fault-run.ts';

const HOUR_MILLIS = 3_600_000;

afterEach(() => {
  vi.useRealTimers();
});

/** What is left of a limit when the system's clock has been put forward. */
const LEFT_MILLIS = 300;

/** When the clock is put forward, a rotation would be due. */
const inRealTime = { ...LONG_LIMITS, rotationIntervalMillis: 0 };

/** Moves the wall clock of a run. */
function step({ clock }: FaultRun, millis: number): void {
  if (clock instanceof FakeClock) {
    const [seconds, nanoseconds] = clock.wall;
    clock.wall = [seconds + millis / 1000, nanoseconds];
    return;
  }
  const before = clock.now();
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + millis });
  expect(Math.abs(clock.now() - before)).toBeLessThan(HOUR_MILLIS / 2);
}

describe('the wall clock', () => {
  for (const [direction, millis] of [
    ['back', -HOUR_MILLIS],
    ['forward', HOUR_MILLIS],
  ] as const) {
    testFaults([
      {
        name: `a backoff keeps its length if the wall clock steps an hour ${direction}`,
        receivers: [{ messageFaults: [{ kind: 'reset', when: 'before ack' }] }],
        happens: async (run) => {
          await sendAndAwaitWarning(run);
          step(run, millis);
        },
        settlesAfter: BACKOFF_MILLIS,
        warns: [/reset the connection/],
        duplicates: { exactly: 1, because: ACK_LOST },
      },
      {
        name: `an ack timeout keeps its length if the wall clock steps an hour ${direction}`,
        receivers: [{ messageFaults: [{ kind: 'withhold' }] }],
        happens: async (run) => {
          await sendAndAwaitArrival(run);
          step(run, millis);
        },
        settlesAfter: 5_000 + BACKOFF_MILLIS,
        warns: [/no ack within 5000 ms/],
        duplicates: { exactly: 1, because: ACK_LOST },
      },
      {
        name: `a backoff and an ack timeout end in real time if the system clock steps an hour ${direction}`,
        receivers: [{ messageFaults: [{ kind: 'reset', when: 'before ack' }, { kind: 'withhold' }] }],
        options: () => ({ ...inRealTime, ackTimeoutMillis: 10_000 }),
        happens: async (run) => {
          await sendAndAwaitWarning(run);
          step(run, millis);
          await until(() => run.messages.length === 2);
          await settle();
          step(run, millis);
          run.clock.advance(10_000 - LEFT_MILLIS);
        },
        isInRealTime: true,
        warns: [/reset the connection/, /no ack within 10000 ms/],
        duplicates: { exactly: 2, because: ACK_LOST },
      },
    ]);
  }
});

/** No success comes as late as this, even on a busy machine. */
const LIMIT_MILLIS = 15_000;
/** For how long the event loop is blocked at least: longer than what is left of the limit. */
const BLOCKED_MILLIS = 2 * LEFT_MILLIS;
/** In place of a block without end. */
const GIVE_UP_MILLIS = 60_000;

type Limit = keyof typeof LONG_LIMITS;

/** Keeps the event loop from turning until `isAnswered`, and long enough for the limit to pass. */
function block(isAnswered: () => boolean): void {
  const start = performance.now();
  const cell = new Int32Array(new SharedArrayBuffer(4));
  for (;;) {
    const millis = performance.now() - start;
    if (millis >= BLOCKED_MILLIS && isAnswered()) return;
    if (millis > GIVE_UP_MILLIS) throw new Error('the receiver does not answer');
    Atomics.wait(cell, 0, 0, 10);
  }
}

/** After `happens` the event loop is blocked until the limit is over and the answer to the last `send()` has arrived. */
function blockedCase(
  limit: Limit,
  happens: (run: FaultRun) => void | Promise<void>,
  options: Partial<Record<Limit, number>> = {},
): FaultCase {
  let child: ChildReceiver;
  return {
    name: `an answer that arrives while the event loop is blocked still counts after ${limit}`,
    receivers: [],
    options: async (run) => {
      child = run.use(await ChildReceiver.start());
      return { ...inRealTime, endpoint: child.endpoint, ...options, [limit]: LIMIT_MILLIS };
    },
    happens: async (run) => {
      await happens(run);
      // The socket connects and writes in this turn of the event loop.
      for (let tick = 0; tick < 5; tick++) await new Promise<void>((done) => process.nextTick(done));
      run.clock.advance(LIMIT_MILLIS - LEFT_MILLIS);
      // A connect is answered by the kernel.
      block(() => limit === 'connectTimeoutMillis' || child.acks === run.exports.length);
    },
    isInRealTime: true,
  };
}

describe('a blocked event loop', () => {
  const proveAndSend = async (run: FaultRun) => {
    await run.prove();
    run.send();
  };
  testFaults([
    blockedCase('ackTimeoutMillis', proveAndSend),
    blockedCase('timeoutMillis', proveAndSend, { ackTimeoutMillis: 10_000 }),
    blockedCase('flushTimeoutMillis', async (run) => {
      await proveAndSend(run);
      void run.exporter.forceFlush();
    }),
    blockedCase('connectTimeoutMillis', (run) => void run.send()),
  ]);
});
