import fc from 'fast-check';
import { expect, it, vi } from 'vitest';
import { sizeClass } from '../../src/encode/buffer-pool.ts';
import { SimulatedNetwork } from '../support/simulated-network.ts';
import { type Command, type Setting, World } from './world.ts';

let network = new SimulatedNetwork();
vi.mock('../../src/connection/socket.ts', async (original) => ({
  ...(await original<typeof import('../../src/connection/socket.ts')>()),
  openSocket: () => network.openSocket(),
}));

/** `npm run accounting` sets more, and a seed of its own. */
const RUNS = Number(process.env.ACCOUNTING_RUNS ?? 1_000);
const SEED = Number(process.env.ACCOUNTING_SEED ?? 20_231_114);
/** A part of the runs, which is a test of its own, so that the progress of a long proof is visible. */
const RUNS_PER_TEST = 2_000;

const MAX_BODY_BYTES = 6_000;
/** Records that are taken although the memory is full, to prove that others are refused. */
const MAX_PROOFS = 4;
/** The size of a record without its body. */
const RECORD_BYTES = 400;

const setting: fc.Arbitrary<Setting> = fc.record({
  layout: fc.constantFrom('default', 'flat', 'otlp', 'function'),
  tag: fc.constantFrom('fixed', 'template', 'resource', 'function'),
  connections: fc.constantFrom(1, 1, 3),
  maxInFlightBytes: fc.constantFrom(65_536, 262_144),
  maxChunkBytes: fc.constantFrom(4_096, 1_000_000),
  rotationIntervalMillis: fc.constantFrom(0, 1_000, 60_000),
  isReentrant: fc.boolean(),
  shutdownAtCallback: fc.oneof(
    { weight: 7, arbitrary: fc.constant(undefined) },
    { weight: 1, arbitrary: fc.nat({ max: 60 }) },
  ),
  chances: fc.array(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), { minLength: 1, maxLength: 5 }),
});

const emit: fc.Arbitrary<Command> = fc.record({
  kind: fc.constant('emit'),
  count: fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 60 })),
  severityNumber: fc.constantFrom(undefined, 1, 9, 12, 13, 17, 24),
  tag: fc.constantFrom('a', 'b', 'c'),
  bytes: fc.oneof(fc.nat({ max: 100 }), fc.nat({ max: MAX_BODY_BYTES })),
  flavor: fc.oneof(
    { weight: 6, arbitrary: fc.constant('plain') },
    {
      weight: 4,
      arbitrary: fc.constantFrom('unencodable', 'filtered', 'nesting', 'unreadable severity', 'poison', 'pending'),
    },
  ),
});

const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 8, arbitrary: emit },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('turn') }) },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('advance'),
      millis: fc.oneof(fc.nat({ max: 300 }), fc.nat({ max: 20_000 })),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('receivers'),
      state: fc.constantFrom('acknowledging', 'silent', 'stalled', 'down'),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('acknowledge'), count: fc.constantFrom(1, 2) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('lose'),
      connection: fc.nat({ max: 3 }),
      by: fc.constantFrom('reset', 'close'),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('resource is complete') }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('flush'), timeoutMillis: fc.constantFrom(undefined, 500) }),
  },
);
const commands = fc.array(command, { maxLength: 40 });
/** Shuts down in the middle in one run of three. */
const sequence = fc.oneof(
  { weight: 2, arbitrary: commands },
  {
    weight: 1,
    arbitrary: fc
      .tuple(commands, fc.array(command, { maxLength: 8 }))
      .map(([before, after]): Command[] => [...before, { kind: 'shutdown' }, ...after]),
  },
);

/**
 * A record is encoded if the memory bound is not reached. So the memory in use exceeds the bound by no more than what one
 * record needs: a buffer that grows to its next size, and the first buffer of the next chunk. A few more records are taken
 * if others may be refused. Records that wait for their resource use larger buffers, which are there until all of their
 * records are in chunks. These take up to twice the room.
 */
function maxOvershootBytes({ maxInFlightBytes }: Setting, sequence: readonly Command[]): number {
  const isDeferred = sequence.some((each) => each.kind === 'emit' && each.flavor === 'pending');
  const bufferBytes = sizeClass(maxInFlightBytes / 16 + MAX_BODY_BYTES + RECORD_BYTES);
  return (2 + MAX_PROOFS) * bufferBytes + (isDeferred ? 2 * maxInFlightBytes : 0);
}

async function runSequence(setting: Setting, sequence: readonly Command[]): Promise<void> {
  network = new SimulatedNetwork();
  const world = new World(network, setting);
  try {
    for (const command of sequence) {
      await world.run(command);
      expect(world.violations).toEqual([]);
    }
    const isSettled = world.isShutDown || (await world.recover());
    expect(isSettled || world.isShutDown, 'every record is settled in the end').toBe(true);
    await world.end();
    expect(world.violations).toEqual([]);
    expect(world.overshootBytes).toBeLessThanOrEqual(maxOvershootBytes(setting, sequence));
  } finally {
    await world.dispose();
  }
}

const tests = Array.from({ length: Math.ceil(RUNS / RUNS_PER_TEST) }, (_, i) => {
  const end = Math.min(RUNS, (i + 1) * RUNS_PER_TEST);
  return { name: `runs up to ${end} of ${RUNS}`, numRuns: end - i * RUNS_PER_TEST, seed: (SEED + i) | 0 };
});

it.each(tests)(
  `every record is accounted for whatever happens: $name (ACCOUNTING_SEED=${SEED})`,
  async ({ numRuns, seed }) => {
    await fc.assert(fc.asyncProperty(setting, sequence, runSequence), { numRuns, seed });
  },
);
