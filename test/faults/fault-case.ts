import { isDeepStrictEqual } from 'node:util';
import { expect, it } from 'vitest';
import type { ConnectionErrorCode, ExportErrorCode, FluentForwardConnectionError } from '../../src/errors.ts';
import type { FluentForwardLogExporterOptions } from '../../src/index.ts';
import type { ForwardReceiverOptions, ReceivedMessage } from '../../src/testing/index.ts';
import { textOf } from '../support/exporter-fixture.ts';
import { settle, until } from '../support/fake-clock.ts';
import { FaultRun } from './fault-run.ts';
import { Memory } from './resource-usage.ts';

/** The first backoff, with chance as {@link harness} has it. */
export const BACKOFF_MILLIS = 75;

/** Why a record may arrive twice. */
export const HAD_IT = 'the receiver had the whole, and only its ack is missing';

/**
 * A fault, and what it may cost. This is asserted of every case, too: each export calls back once; no
 * record of an acknowledged export is lost; what arrives again has the same bytes and id; the next
 * export works at once; and nothing is left: no sockets at either end, no timers, no listeners.
 */
export interface FaultCase {
  readonly name: string;
  /** One receiver for each, all behind one name where there are several. Default: one that works. */
  readonly receivers?: readonly ForwardReceiverOptions[];
  readonly options?: (run: FaultRun) => FluentForwardLogExporterOptions | Promise<FluentForwardLogExporterOptions>;
  /** Default: {@link meetsFault}. */
  readonly happens?: (run: FaultRun) => void | Promise<void>;
  /** From there until all exports have their results, on the exporter's clock, to the millisecond. Default 0. */
  readonly settlesAfter?: number;
  /** The case needs real time: it settles within so many milliseconds. */
  readonly settlesWithin?: number;
  /** Default: all are acknowledged. */
  readonly results?: readonly ('acknowledged' | ExportErrorCode)[];
  /** What the failed ones give as their cause. */
  readonly cause?: ConnectionErrorCode;
  /** All that is said at warning level and above, a text each. Default: nothing. */
  readonly warns?: readonly RegExp[];
  /** Whether it is said, once, that all is well again. Default: where there were warnings, and no export failed. */
  readonly tellsRecovery?: boolean;
  /** Something that is said at debug level. */
  readonly debugs?: RegExp;
  /** Records that arrive once more. Default: none. */
  readonly duplicates?: { readonly exactly: number; readonly because: string };
  /** Connections that receivers keep: they do not read on, and so see no end. Default 0. */
  readonly keeps?: number;
  /** Where memory is at stake: by how much the process may grow, garbage included, in MiB. */
  readonly grows?: number;
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
    const memory = faultCase.grows === undefined ? undefined : new Memory();
    await (faultCase.happens ?? meetsFault)(run);
    await expectSettled(run, faultCase);
    if (memory !== undefined) expectMemory(memory, faultCase.grows as number);
    expectResults(run, faultCase);
    expectArrivals(run, faultCase);
    expectTold(run, faultCase);
    await expectNoExtraSockets(run, faultCase);
    if (!faultCase.isFinal) await expectNextWorks(run);
    expectRecoveryTold(run, faultCase);
    await expectNothingLeft(run);
  } finally {
    await run.end();
  }
}

/** An export meets what the receivers' scripts say, and a warning tells it. */
export async function meetsFault(run: FaultRun): Promise<void> {
  run.send();
  await run.warned();
}

/** An export meets a receiver that takes it, and nothing is told yet. */
export async function meetsSilence(run: FaultRun): Promise<void> {
  const before = run.messages.length;
  run.send();
  await until(() => run.messages.length > before);
  await settle();
}

async function expectSettled(run: FaultRun, { settlesAfter = 0, settlesWithin }: FaultCase): Promise<void> {
  const start = performance.now();
  if (settlesAfter > 0) {
    await settle();
    await run.clock.advance(settlesAfter - 1);
    expect(run.isSettled, `settled before ${settlesAfter} ms`).toBe(false);
    await run.clock.advance(1);
  }
  await until(() => run.isSettled);
  if (settlesWithin !== undefined) expect(performance.now() - start).toBeLessThan(settlesWithin);
}

function expectMemory({ rssGrowth, bufferGrowth }: Memory, mebibytes: number): void {
  expect(Math.max(rssGrowth, bufferGrowth) / 2 ** 20).toBeLessThan(mebibytes);
}

function expectResults({ exports }: FaultRun, { results, cause }: FaultCase): void {
  const given = exports.map(({ result }) => (result?.code === 0 ? 'acknowledged' : result?.error?.code));
  expect(given).toEqual(results ?? exports.map(() => 'acknowledged'));
  const errors = exports.flatMap(({ result }) => result?.error ?? []);
  const causes = new Set(errors.map((error) => (error.cause as FluentForwardConnectionError).code));
  expect([...causes]).toEqual(cause === undefined ? [] : [cause]);
}

function expectArrivals({ exports, messages }: FaultRun, { duplicates }: FaultCase): void {
  const arrivals = new Map<unknown, ReceivedMessage[]>();
  for (const message of messages) arrivals.set(textOf(message), [...(arrivals.get(textOf(message)) ?? []), message]);
  const lost = exports.filter(({ body, result }) => result?.code === 0 && !arrivals.has(body));
  expect(lost.map(({ body }) => body)).toEqual([]);
  for (const [first, ...again] of arrivals.values()) {
    for (const message of again) expect(message).toEqual({ ...first, connection: message.connection });
  }
  const count = messages.length - arrivals.size;
  expect(count, duplicates?.because).toBe(duplicates?.exactly ?? 0);
}

function expectTold({ warnings, log }: FaultRun, { warns = [], debugs }: FaultCase): void {
  expect(warnings).toEqual(warns.map((text) => expect.stringMatching(text)));
  if (debugs !== undefined) expect(log).toContainEqual(['debug', expect.stringMatching(debugs)]);
}

function expectRecoveryTold({ log }: FaultRun, { warns = [], results, tellsRecovery }: FaultCase): void {
  const told = log.filter(([level, text]) => level === 'info' && text.includes(' again'));
  expect(told).toHaveLength((tellsRecovery ?? (warns.length > 0 && results === undefined)) ? 1 : 0);
}

async function expectNoExtraSockets(run: FaultRun, { keeps = 0 }: FaultCase): Promise<void> {
  const extra = () => {
    const { dialled, accepted } = run.usage;
    return Math.max(0, Math.max(dialled, accepted - keeps) - run.connections);
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

/** Waits until `look` gives what is expected; a time limit of its own makes a failure say what it gave. */
export async function expectSoon<T>(look: () => T, expected: T): Promise<void> {
  const end = performance.now() + 5_000;
  await until(() => isDeepStrictEqual(look(), expected) || performance.now() > end);
  expect(look()).toEqual(expected);
}

async function expectNothingLeft(run: FaultRun): Promise<void> {
  await run.exporter.shutdown();
  await expectSoon(() => run.usage, run.usageBefore);
  expect(run.exports.filter(({ calls }) => calls !== 1)).toEqual([]);
}
