import { afterEach, describe, expect, vi } from 'vitest';
import { FakeClock, until } from '../support/fake-clock.ts';
import { ChildReceiver } from './children.ts';
import { BACKOFF_MILLIS, type FaultCase, HAD_IT, meetsFault, meetsSilence, testFaults } from './fault-case.ts';
import type { FaultRun } from './fault-run.ts';

const HOUR_MILLIS = 3_600_000;

afterEach(() => {
  vi.useRealTimers();
});

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
        name: `steps an hour ${direction} during a backoff`,
        receivers: [{ messageFaults: [{ kind: 'reset', when: 'before ack' }] }],
        happens: async (run) => {
          await meetsFault(run);
          step(run, millis);
        },
        settlesAfter: BACKOFF_MILLIS,
        warns: [/reset the connection/],
        duplicates: { exactly: 1, because: HAD_IT },
      },
      {
        name: `steps an hour ${direction} during an ack timeout`,
        receivers: [{ messageFaults: [{ kind: 'withhold' }] }],
        happens: async (run) => {
          await meetsSilence(run);
          step(run, millis);
        },
        settlesAfter: 5_000 + BACKOFF_MILLIS,
        warns: [/no ack within 5000 ms/],
        duplicates: { exactly: 1, because: HAD_IT },
      },
      {
        name: `steps an hour ${direction} under the system's own clock`,
        receivers: [{ messageFaults: [{ kind: 'reset', when: 'before ack' }, { kind: 'withhold' }] }],
        options: () => ({ ackTimeoutMillis: 300 }),
        happens: async (run) => {
          await meetsFault(run);
          step(run, millis);
          await until(() => run.messages.length === 2);
          step(run, millis);
        },
        settlesWithin: 5_000,
        warns: [/reset the connection/, /no ack within 300 ms/],
        duplicates: { exactly: 2, because: HAD_IT },
      },
    ]);
  }
});

const BLOCKED_MILLIS = 600;

/** Keeps the event loop from turning, once what was begun in this turn is done, and not before the receiver is. */
async function block(): Promise<void> {
  for (let tick = 0; tick < 5; tick++) await new Promise<void>((done) => process.nextTick(done));
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, BLOCKED_MILLIS);
}

/** A receiver that answers while this process is blocked, for longer than the limit that `options` set. */
function blocked(
  limit: keyof Options,
  happens: (run: FaultRun) => void | Promise<void>,
  options: Options = {},
): FaultCase {
  return {
    name: `is blocked for longer than ${limit}, and the answer is there before that is up`,
    receivers: [],
    options: async (run) => {
      const { endpoint } = run.use(await ChildReceiver.start());
      return { endpoint, [limit]: BLOCKED_MILLIS / 2, ...options };
    },
    happens: async (run) => {
      await happens(run);
      await block();
    },
    settlesWithin: 2_000,
  };
}

type Options = Partial<
  Record<'ackTimeoutMillis' | 'timeoutMillis' | 'flushTimeoutMillis' | 'connectTimeoutMillis', number>
>;

describe('the event loop', () => {
  const sends = async (run: FaultRun) => {
    await run.prove();
    run.send();
  };
  testFaults([
    blocked('ackTimeoutMillis', sends),
    blocked('timeoutMillis', sends, { ackTimeoutMillis: 200 }),
    blocked('flushTimeoutMillis', async (run) => {
      await sends(run);
      void run.exporter.forceFlush();
    }),
    blocked('connectTimeoutMillis', async (run) => {
      run.send();
    }),
  ]);
});
