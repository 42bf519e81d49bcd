import { setTimeout as sleep } from 'node:timers/promises';
import { diag } from '@opentelemetry/api';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { HandshakeFault } from '../../src/testing/index.ts';
import { settle } from '../support/fake-clock.ts';
import { type Harness, harness, type LogLine, logRecord, type Result, recordDiag } from '../support/harness.ts';
import { HostileServer, type Opening, type Script, type Twist } from './hostile-server.ts';
import { grownBytes } from './memory.ts';
import { cuts, mutations } from './mutation.ts';
import { batches } from './runs.ts';
import { ANSWERS, LOGIN } from './sessions.ts';

/** Of a run's inputs: each is a server's life, and takes as long as many of the decoder's. */
const SHARE = 0.02;
const BATCH = 1_000;
const BATCH_MILLIS = 300_000;
/** Servers side by side: most of the time goes by in waiting for sockets. */
const SERVERS = 8;
const MAX_GROWTH_BYTES = 48 * 1024 * 1024;
const TIMEOUT_MILLIS = 30_000;
const ACK_TIMEOUT_MILLIS = 5_000;
const STEP_MILLIS = 250;

const ending = fc.oneof(
  { weight: 6, arbitrary: fc.constant('stay' as const) },
  { weight: 1, arbitrary: fc.constantFrom('close' as const, 'reset' as const) },
);
/** More than may be said without an ack, mostly in whole answers. */
const flood = fc.record({
  changes: fc.oneof(fc.constant([]), mutations),
  times: fc.integer({ min: 1_000, max: 8_000 }),
  cuts,
  ending,
});
const twist: fc.Arbitrary<Twist> = fc.oneof(
  { weight: 25, arbitrary: fc.record({ changes: mutations, times: fc.constant(1), cuts, ending }) },
  { weight: 1, arbitrary: flood },
);
const fault = fc.constantFrom<HandshakeFault | undefined>(
  undefined,
  { kind: 'impostor' },
  { kind: 'reflect' },
  { kind: 'refuse', reason: 'shared_key\r\nforged: line \x1b[2J' },
);
const opening: fc.Arbitrary<Opening> = fc.record({
  fault,
  first: fc.option(twist, { nil: undefined }),
  pong: fc.option(twist, { nil: undefined }),
});
const scripts: fc.Arbitrary<Script> = fc.record({
  isKeyed: fc.boolean(),
  openings: fc.array(opening, { maxLength: 2 }),
  answers: fc.array(fc.record({ which: fc.nat(ANSWERS.length - 1), isStale: fc.boolean(), twist }), { maxLength: 4 }),
});

interface Exported {
  readonly text: string;
  readonly results: Result[];
}

function start({ exporter }: Harness, text: string): Exported {
  const results: Result[] = [];
  exporter.export([logRecord(text)], (result) => results.push(result as Result));
  return { text, results };
}

/** Lets time pass until the exports have their results, at the most up to their deadline. */
async function end({ clock }: Harness, exported: readonly Exported[]): Promise<void> {
  await settle();
  const deadline = clock.now() + TIMEOUT_MILLIS;
  while (clock.now() < deadline && exported.some(({ results }) => results.length === 0)) {
    await clock.advance(STEP_MILLIS);
  }
}

/** Waits for sockets, but not for ever: fast-check reports the input of an assertion that fails, not of a test that hangs. */
async function waitBriefly(condition: () => boolean): Promise<void> {
  for (let waits = 0; waits < 20_000 && !condition(); waits++) await sleep(1);
}

function check(server: HostileServer, { text, results }: Exported): void {
  expect(results, `results of ${text}`).toHaveLength(1);
  if (results[0]?.code === 0) expect(server.hasAcknowledged(text), `an ack of ${text}`).toBe(true);
}

describe('an exporter with a hostile server', () => {
  const servers: HostileServer[] = [];
  const lines: LogLine[] = [];
  const uncaught: unknown[] = [];
  const onUncaught = (error: unknown) => uncaught.push(error);

  beforeAll(async () => {
    recordDiag(lines);
    process.on('uncaughtException', onUncaught).on('unhandledRejection', onUncaught);
    for (let i = 0; i < SERVERS; i++) servers.push(await HostileServer.listen());
  });

  afterAll(async () => {
    process.off('uncaughtException', onUncaught).off('unhandledRejection', onUncaught);
    diag.disable();
    await Promise.all(servers.map((server) => server.close()));
  });

  /** No message holds a line or a control sequence that comes from the server. */
  function checkLines(): void {
    const forged = lines.splice(0).find(([, text]) => /\p{Cc}|\u202e/u.test(text));
    expect(forged).toBeUndefined();
  }

  /** An exporter's whole life with a server that is hostile first and honest then. */
  async function live(server: HostileServer, script: Script, connections: number): Promise<void> {
    server.play(script);
    const made = harness({
      endpoint: server.endpoint,
      connections,
      timeoutMillis: TIMEOUT_MILLIS,
      ackTimeoutMillis: ACK_TIMEOUT_MILLIS,
      ...(script.isKeyed ? { sharedKey: LOGIN.sharedKey, hostname: LOGIN.hostname } : {}),
    });
    const exported = [start(made, 'a'), start(made, 'b')];
    await end(made, exported);
    server.beHonest();
    const last = start(made, 'c');
    await end(made, [last]);
    // What the client reads only now would have its whole time limit still to come.
    await waitBriefly(() => server.isHeard);
    await made.clock.advance(2 * ACK_TIMEOUT_MILLIS);
    await waitBriefly(() => !server.isHeldOpen);
    const { isHeldOpen } = server;
    const done = made.exporter.shutdown();
    await made.clock.advance(TIMEOUT_MILLIS);
    await done;
    await waitBriefly(() => server.openConnections === 0);

    for (const each of [...exported, last]) check(server, each);
    expect(last.results[0]).toEqual({ code: 0 });
    expect(isHeldOpen).toBe(false);
    expect(server.faults).toEqual([]);
    expect(server.excessBytes).toBe(0);
    expect(uncaught).toEqual([]);
    checkLines();
    expect(server.openConnections).toBe(0);
    expect(made.clock.timers).toBe(0);
    expect(made.exporter.stats()).toMatchObject({ inFlightBytes: 0, connections: [] });
  }

  it.each(batches(SHARE, BATCH))(
    'the exporter goes on working and reports as delivered only what was acknowledged: %s',
    async (_, { seed, numRuns }) => {
      const grown = await grownBytes(async () => {
        const runs = servers.map((server, i) => {
          const property = fc.asyncProperty(scripts, fc.integer({ min: 1, max: 2 }), (script, connections) =>
            live(server, script, connections),
          );
          return fc.assert(property, {
            seed: seed + i * 1_000_003,
            numRuns: Math.ceil(numRuns / SERVERS),
            endOnFailure: true,
          });
        });
        await Promise.all(runs);
      });
      expect(grown).toBeLessThan(MAX_GROWTH_BYTES);
    },
    BATCH_MILLIS,
  );
});
