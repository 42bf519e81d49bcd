import { LoggerProvider, type LoggerProviderOptions, type LogRecordProcessor } from '@opentelemetry/sdk-logs';
import { expect, onTestFinished } from 'vitest';
import type { Clock } from '../../src/clock.ts';
import type { FluentForwardLogRecordProcessorOptions } from '../../src/config/options.ts';
import { FluentForwardLogRecordProcessor, type FluentForwardProcessorStats } from '../../src/index.ts';
import { LONG_LIMITS } from './long-limits.ts';
import { RealClock } from './real-clock.ts';
import { record } from './records.ts';

const { timeoutMillis: _, ...LONG_PROCESSOR_LIMITS } = LONG_LIMITS;

type OnEmitRecord = Parameters<FluentForwardLogRecordProcessor['onEmit']>[0];

interface MovableClock extends Clock {
  advance(millis: number): void | Promise<void>;
}

/** A processor on a clock that the test can put forward. It is shut down when the test ends. */
export interface ProcessorFixture {
  readonly clock: MovableClock;
  readonly processor: FluentForwardLogRecordProcessor;
  /** Emits a record as no SDK makes it. */
  emit(fields: Parameters<typeof record>[0]): void;
}

/** Its time limits are long, unless the options say otherwise. */
export function startProcessor(
  options: FluentForwardLogRecordProcessorOptions,
  clock: MovableClock = new RealClock(),
): ProcessorFixture {
  const processor = new FluentForwardLogRecordProcessor(
    { ...LONG_PROCESSOR_LIMITS, rotationIntervalMillis: 0, ...options },
    { clock, random: Math.random },
  );
  onTestFinished(async () => {
    const done = processor.shutdown();
    await clock.advance(60_000);
    await done;
    expectAccounted(processor.stats());
  });
  return { clock, processor, emit: (fields) => processor.onEmit(record(fields) as OnEmitRecord) };
}

/** A logger of the SDK whose records go through the processors. */
export function loggerOf(processors: LogRecordProcessor[], options: LoggerProviderOptions = {}) {
  const provider = new LoggerProvider({ ...options, processors });
  return Object.assign(provider.getLogger('test'), { forceFlush: () => provider.forceFlush() });
}

/** Checks that each record is in exactly one number. */
export function expectAccounted(stats: FluentForwardProcessorStats): void {
  const { emitted, recovered, acknowledged, filtered, dropped, held, spooled } = stats;
  const sum = Object.values(dropped).reduce((total, count) => total + count);
  expect(emitted + recovered).toBe(acknowledged.records + filtered + sum + held.records + spooled.records);
}
