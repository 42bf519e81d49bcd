import { diag } from '@opentelemetry/api';
import { BatchLogRecordProcessor, LoggerProvider } from '@opentelemetry/sdk-logs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FluentForwardLogExporter } from '../../src/index.ts';
import { ForwardReceiver } from '../../src/testing/index.ts';
import { until } from '../support/fake-clock.ts';
import { type LogLine, recordDiag } from '../support/harness.ts';
import { freePort } from '../support/receiver-process.mjs';

/** BatchLogRecordProcessor's own. */
const QUEUE = 2048;
const FLUSH_MILLIS = 10_000;

const log: LogLine[] = [];
beforeAll(() => recordDiag(log));
afterAll(() => diag.disable());

/** How many records the processor's error messages say were not acknowledged. */
function reportedLost(endpoint: string): number {
  const message = new RegExp(
    `(\\d+) of \\d+ log records were not acknowledged by ${endpoint}: no ack within the 10000 ms`,
  );
  return log.reduce((sum, [level, text]) => sum + (level === 'error' ? Number(message.exec(text)?.[1] ?? 0) : 0), 0);
}

/** A second budget would take twice as long, the deadline of an export 25 s. */
function expectOneBudget(millis: number): void {
  expect(millis).toBeGreaterThanOrEqual(FLUSH_MILLIS - 100);
  expect(millis).toBeLessThan(2 * FLUSH_MILLIS);
}

// In real time, at the defaults, and all at once.
describe.concurrent('shutdown of a provider with a full queue', () => {
  async function shutDown(endpoint: string): Promise<number> {
    const exporter = new FluentForwardLogExporter({ endpoint });
    const provider = new LoggerProvider({ processors: [new BatchLogRecordProcessor({ exporter })] });
    const logger = provider.getLogger('test');
    for (let i = 0; i < QUEUE; i++) logger.emit({ body: i });
    const start = performance.now();
    await provider.shutdown();
    return performance.now() - start;
  }

  it('shutdown takes one flush timeout and logs all lost records if no receiver listens', async () => {
    const endpoint = `tcp://127.0.0.1:${await freePort()}`;
    expectOneBudget(await shutDown(endpoint));
    expect(reportedLost(endpoint)).toBe(QUEUE);
  });

  it('shutdown takes one flush timeout and logs all lost records if the receiver does not answer', async () => {
    const receiver = await ForwardReceiver.listen({ messageFaults: () => ({ kind: 'withhold' }) });
    expectOneBudget(await shutDown(receiver.endpoint));
    expect(reportedLost(receiver.endpoint)).toBe(QUEUE);
    await until(() => receiver.openConnections === 0);
    await receiver.close();
  });
});
