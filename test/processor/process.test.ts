import { expect, it, onTestFinished } from 'vitest';
import { ForwardReceiver, type ForwardReceiverOptions } from '../../src/testing/index.ts';
import { LONG_LIMIT_VARIABLES } from '../support/long-limits.ts';
import { runProgram } from '../support/run-program.ts';

/** A process that waits for a timer of the processor takes longer. */
const LONG_DELAY_MILLIS = 90_000;

async function run(receiverOptions: ForwardReceiverOptions, env: Record<string, string>) {
  const receiver = await ForwardReceiver.listen(receiverOptions);
  onTestFinished(() => receiver.close());
  const OTEL_EXPORTER_FLUENT_FORWARD_ENDPOINT = receiver.endpoint;
  const OTEL_EXPORTER_FLUENT_FORWARD_SCHEDULE_DELAY = String(LONG_DELAY_MILLIS);
  const variables = { OTEL_EXPORTER_FLUENT_FORWARD_ENDPOINT, OTEL_EXPORTER_FLUENT_FORWARD_SCHEDULE_DELAY };
  const finished = await runProgram('test/processor/end.mjs', {
    env: { ...LONG_LIMIT_VARIABLES, ...variables, ...env },
  });
  return { ...finished, receiver };
}

it('a process whose processor has an open chunk ends by itself, and does not wait for the chunk', async () => {
  const { code, millis } = await run({}, {});
  expect(code).toBe(0);
  expect(millis).toBeLessThan(LONG_DELAY_MILLIS);
});

it('a process is held by forceFlush until the ack, and then ends by itself', async () => {
  const ACK_MILLIS = 1_500;
  const { code, millis, stdout, receiver } = await run(
    { messageFaults: [{ kind: 'delay', millis: ACK_MILLIS }] },
    { FLUSH: 'true' },
  );
  expect({ code, stdout }).toEqual({ code: 0, stdout: '1 acknowledged' });
  expect(millis).toBeGreaterThanOrEqual(ACK_MILLIS);
  expect(millis).toBeLessThan(LONG_DELAY_MILLIS);
  expect(receiver.entryCount).toBe(1);
});

it('a process is held by forceFlush no longer than the flush if no ack arrives', async () => {
  const { code, stdout } = await run(
    { messageFaults: () => ({ kind: 'withhold' }) },
    { FLUSH: 'true', OTEL_EXPORTER_FLUENT_FORWARD_FLUSH_TIMEOUT: '500' },
  );
  expect({ code, stdout }).toEqual({ code: 0, stdout: '0 acknowledged' });
});
