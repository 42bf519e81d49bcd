import { diag } from '@opentelemetry/api';
import { BatchLogRecordProcessor, LoggerProvider } from '@opentelemetry/sdk-logs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FluentForwardLogExporter } from '../../src/index.ts';
import { ForwardReceiver } from '../../src/testing/index.ts';
import { until } from '../support/fake-clock.ts';
import { type LogLine, recordDiag } from '../support/harness.ts';

/** BatchLogRecordProcessor's own. */
const QUEUE = 2048;
const FLUSH_MILLIS = 10_000;

const log: LogLine[] = [];
beforeAll(() => recordDiag(log));
afterAll(() => diag.disable());

/** How many records the processor's error messages say were not acknowledged. */
function reportedLost(endpoint: string): number {
  const told = new RegExp(
    `(\\d+) of \\d+ log records were not acknowledged by ${endpoint}: no ack within the 10000 ms`,
  );
  return log.reduce((sum, [level, text]) => sum + (level === 'error' ? Number(told.exec(text)?.[1] ?? 0) : 0), 0);
}

// In real time, at the defaults, and all at once.
describe.concurrent('provider.shutdown() with a full queue', () => {
  async function shutDown(endpoint: string): Promise<number> {
    const exporter = new FluentForwardLogExporter({ endpoint });
    const provider = new LoggerProvider({ processors: [new BatchLogRecordProcessor({ exporter })] });
    const logger = provider.getLogger('test');
    for (let i = 0; i < QUEUE; i++) logger.emit({ body: i });
    const start = performance.now();
    await provider.shutdown();
    return performance.now() - start;
  }

  it('ends within the flush budget where no receiver is, and says what was lost', async () => {
    const receiver = await ForwardReceiver.listen();
    const { endpoint } = receiver;
    await receiver.close();
    const millis = await shutDown(endpoint);
    expect(millis).toBeGreaterThanOrEqual(FLUSH_MILLIS - 100);
    expect(millis).toBeLessThan(FLUSH_MILLIS + 1_000);
    expect(reportedLost(endpoint)).toBe(QUEUE);
  });

  it('ends within it where the receiver does not answer, and says what was lost', async () => {
    const receiver = await ForwardReceiver.listen({ messageFaults: () => ({ kind: 'withhold' }) });
    const millis = await shutDown(receiver.endpoint);
    expect(millis).toBeGreaterThanOrEqual(FLUSH_MILLIS - 100);
    expect(millis).toBeLessThan(FLUSH_MILLIS + 1_000);
    expect(reportedLost(receiver.endpoint)).toBe(QUEUE);
    await until(() => receiver.openConnections === 0);
    await receiver.close();
  });
});
