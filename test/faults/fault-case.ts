import { isDeepStrictEqual } from 'node:util';
import { expect, it } from 'vitest';
import type { ConnectionErrorCode, ExportErrorCode, FluentForwardConnectionError } from '../../src/errors.ts';
import type { FluentForwardLogExporterOptions } from '../../src/index.ts';
import type { ForwardReceiverOptions, ReceivedMessage } from '../../src/testing/index.ts';
import { textOf } from '../support/exporter-fixture.ts';
import { settle, until } from '../support/fake-clock.ts';
import { FaultRun, RECOVERY } from './fault-run.ts';
import { collectGarbage, Memory } from './resource-usage.ts';

/** The first backoff of a {@link FaultRun}'s exporter. */
export const BACKOFF_MILLIS = 75;

/** By how much the process may grow, in MiB. */
interface MaxGrowth {
  /** In what is still in use when garbage has been collected. */
  readonly used: number;
  /** In all its memory. Default: no limit, as garbage depends on the version of Node.js and on the load. */
  readonly withGarbage?: number;
}

/** Why a record may arrive twice. */
export const ACK_LOST = 'the receiver had the whole message, and only its ack was lost';

/**
 * A fault, and what it may cost. This is asserted of every case, too: each export calls back once; no
 * record of an acknowledged export is lost; what arrives again has the same bytes and id; the next
 * export works at once; and nothing is left: no sockets at either end, no timers, no listeners.
 */
export interface FaultCase {
  /** The title of its test. */
  readonly name: string;
  /** One receiver for each, all behind one name where there are several. Default: one that works. */
  readonly receivers?: readonly ForwardReceiverOptions[];
  readonly options?: (run: FaultRun) => FluentForwardLogExporterOptions | Promise<FluentForwardLogExporterOptions>;
  /** Default: {@link sendAndAwaitWarning}. */
  readonly happens?: (run: FaultRun) => void | Promise<void>;
  /** From there until all exports have their results, on the exporter's clock, to the millisecond. Default 0. */
  readonly settlesAfter?: number;
  /** The exporter has the system's clock. */
  readonly isInRealTime?: true;
  /** Default: all are acknowledged. */
  readonly results?: readonly ('acknowledged' | ExportErrorCode)[];
  /** The cause that the errors of the failed ones carry. */
  readonly cause?: ConnectionErrorCode;
  /** All messages at warning level and above, but that of a recovery. Default: none. */
  readonly warns?: readonly RegExp[];
  /** Whether the recovery is logged, once. Default: if there were warnings, and no export failed. */
  readonly logsRecovery?: boolean;
  /** One of the messages at debug level. */
  readonly debugs?: RegExp;
  /** Records that arrive once more. Default: none. */
  readonly duplicates?: { readonly exactly: number; readonly because: string };
  /** Connections that stay open at their receivers, which do not read on and so see no end. Default 0. */
  readonly heldConnections?: number;
  /** Default: not measured. */
  readonly maxGrowth?: MaxGrowth;
  /** No receiver comes back, or the exporter is shut down: there is no next export. */
  readonly isFinal?: boolean;
}

/** Defines one test for each case. */
export function testFaults(cases: readonly FaultCase[]): void {
  for (const faultCase of cases) it(faultCase.name, () => runCase(faultCase));
}

async function runCase(faultCase: FaultCase): Promise<void> {
  const run = await FaultRun.start(faultCase);
  try {
    const { maxGrowth } = faultCase;
    const memory = maxGrowth && new Memory();
    await (faultCase.happens ?? sendAndAwaitWarning)(run);
    await expectSettled(run, faultCase);
    if (memory && maxGrowth) await expectMemory(memory, maxGrowth);
    expectResults(run, faultCase);
    await expectArrivals(run, faultCase);
    expectLog(run, faultCase);
    await expectNoExtraSockets(run, faultCase);
    if (!faultCase.isFinal) await expectNextWorks(run);
    expectRecoveryLog(run, faultCase);
    await expectNothingLeft(run);
    // Nothing is on the way any more.
    await expectArrivals(run, faultCase);
  } finally {
    await run.end();
  }
}

/** Exports a record, which the receivers' scripts have fail, and waits for a warning about it. */
export async function sendAndAwaitWarning(run: FaultRun): Promise<void> {
  run.send();
  await run.warned();
}

/** Exports a record, and waits until it and all before it have arrived. */
export async function sendAndAwaitArrival(run: FaultRun): Promise<void> {
  run.send();
  await until(() => run.messages.length === run.exports.length);
  await settle();
}

/** The same, and waits until the exporter has read something of the answer. */
export async function sendAndAwaitAnswer(run: FaultRun): Promise<void> {
  await sendAndAwaitArrival(run);
  await until(() => run.sockets.open.some(({ bytesRead }) => bytesRead > 0));
}

async function expectSettled(run: FaultRun, { settlesAfter = 0 }: FaultCase): Promise<void> {
  if (settlesAfter > 0) {
    await settle();
    await run.clock.advance(settlesAfter - 1);
    expect(run.isSettled, `settled before ${settlesAfter} ms`).toBe(false);
    await run.clock.advance(1);
  }
  await until(() => run.isSettled);
}

async function expectMemory(memory: Memory, { used, withGarbage = Infinity }: MaxGrowth): Promise<void> {
  expect(Math.max(memory.rssGrowth, memory.bufferGrowth) / 2 ** 20).toBeLessThan(withGarbage);
  const excess = () => {
    collectGarbage();
    return Math.max(0, memory.usedGrowth / 2 ** 20 - used);
  };
  await expectSoon(excess, 0, `growth of more than ${used} MiB`);
}

function expectResults({ exports }: FaultRun, { results, cause }: FaultCase): void {
  const given = exports.map(({ result }) => (result?.code === 0 ? 'acknowledged' : result?.error?.code));
  expect(given).toEqual(results ?? exports.map(() => 'acknowledged'));
  const errors = exports.flatMap(({ result }) => result?.error ?? []);
  const causes = new Set(errors.map((error) => (error.cause as FluentForwardConnectionError).code));
  expect([...causes]).toEqual(cause === undefined ? [] : [cause]);
}

/** An ack can be faster than the report of a receiver in another process. */
async function expectArrivals(run: FaultRun, { duplicates }: FaultCase): Promise<void> {
  const look = () => {
    const arrivals = arrivalsOf(run);
    const lost = run.exports.filter(({ body, result }) => result?.code === 0 && !arrivals.has(body));
    return { lost: lost.map(({ body }) => body), duplicates: run.messages.length - arrivals.size };
  };
  await expectSoon(look, { lost: [], duplicates: duplicates?.exactly ?? 0 }, duplicates?.because);
  for (const [first, ...again] of arrivalsOf(run).values()) {
    for (const message of again) expect(message).toEqual({ ...first, connection: message.connection });
  }
}

/** What has arrived, by its text. */
function arrivalsOf({ messages }: FaultRun): Map<unknown, ReceivedMessage[]> {
  const arrivals = new Map<unknown, ReceivedMessage[]>();
  for (const message of messages) arrivals.set(textOf(message), [...(arrivals.get(textOf(message)) ?? []), message]);
  return arrivals;
}

function expectLog({ warnings, log }: FaultRun, { warns = [], debugs }: FaultCase): void {
  expect(warnings).toEqual(warns.map((text) => expect.stringMatching(text)));
  if (debugs !== undefined) expect(log).toContainEqual(['debug', expect.stringMatching(debugs)]);
}

function expectRecoveryLog({ log }: FaultRun, { warns = [], results, logsRecovery }: FaultCase): void {
  const recoveries = log.filter(([level, text]) => level === 'warn' && RECOVERY.test(text));
  expect(recoveries).toHaveLength((logsRecovery ?? (warns.length > 0 && results === undefined)) ? 1 : 0);
}

async function expectNoExtraSockets(run: FaultRun, { heldConnections = 0 }: FaultCase): Promise<void> {
  const extra = () => {
    const { dialled, accepted } = run.usage;
    return Math.max(0, Math.max(dialled, accepted - heldConnections) - run.connections);
  };
  await expectSoon(extra, 0);
}

async function expectNextWorks(run: FaultRun): Promise<void> {
  const before = run.messages.length;
  const [next] = run.send();
  await until(() => next?.result !== undefined);
  expect(next?.result?.code).toBe(0);
  await until(() => run.messages.length === before + 1);
}

/** Shorter than the time limit of a test, so that a failure shows what `look` returned. */
const SOON_MILLIS = 60_000;

/** Waits until `look` returns what is expected. */
export async function expectSoon<T>(look: () => T, expected: T, because?: string): Promise<void> {
  const end = performance.now() + SOON_MILLIS;
  await until(() => isDeepStrictEqual(look(), expected) || performance.now() > end);
  expect(look(), because).toEqual(expected);
}

async function expectNothingLeft(run: FaultRun): Promise<void> {
  await run.exporter.shutdown();
  await expectSoon(() => run.usage, run.usageBefore);
  expect(run.exports.filter(({ calls }) => calls !== 1)).toEqual([]);
}
