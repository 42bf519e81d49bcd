import { afterEach, expect, test } from 'vitest';
import { ForwardReceiver } from '../../src/testing/index.ts';
import { DEAD_ENDPOINT, runExample } from './run-example.ts';

const receivers: ForwardReceiver[] = [];

afterEach(async () => {
  for (const receiver of receivers.splice(0)) await receiver.close();
});

test('the quickstart sends its record and prints nothing', async () => {
  const receiver = await ForwardReceiver.listen();
  receivers.push(receiver);
  const before = Math.floor(Date.now() / 1000);
  const { code, stdout, stderr } = await runExample('quickstart/quickstart.mjs', {
    env: { OTEL_EXPORTER_FLUENT_FORWARD_ENDPOINT: receiver.endpoint },
  });
  expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: '', stderr: '' });
  expect(receiver.entries).toEqual([
    {
      tag: 'opentelemetry.logs',
      time: { seconds: expect.any(Number), nanoseconds: expect.any(Number) },
      record: expect.objectContaining({
        message: 'hello, Fluent',
        severity_number: 9,
        severity_text: 'INFO',
        attributes: { 'user.id': 42 },
        scope: { name: 'quickstart' },
      }),
    },
  ]);
  const seconds = receiver.entries[0]?.time.seconds ?? 0;
  expect(seconds).toBeGreaterThanOrEqual(before);
  expect(seconds).toBeLessThanOrEqual(Date.now() / 1000);
});

const unanswered = {
  OTEL_EXPORTER_FLUENT_FORWARD_TIMEOUT: '1000',
  OTEL_EXPORTER_FLUENT_FORWARD_ACK_TIMEOUT: '500',
};

test('the quickstart ends and prints the cause, a hint and the loss when nothing listens', async () => {
  const endpoint = DEAD_ENDPOINT;
  const { code, stdout, stderr } = await runExample('quickstart/quickstart.mjs', {
    env: { ...unanswered, OTEL_EXPORTER_FLUENT_FORWARD_ENDPOINT: endpoint },
  });
  expect(code).toBe(0);
  expect(stdout).toBe('');
  expect(stderr).toContain(
    `opentelemetry-exporter-fluent-forward ${endpoint}: connection refused; is the receiver running, and listening there?`,
  );
  expect(stderr).toContain('[FLUENT_FORWARD_EXPORT_FAILED]');
  expect(stderr).toContain(`1 of 1 log records were not acknowledged by ${endpoint}: no ack within 1000 ms`);
  // OpenTelemetry's own report of the failed batch, which `diag` now has a logger for.
  expect(stderr).toContain('"code":"FLUENT_FORWARD_TIMEOUT"');
});

test('the quickstart with OTEL_LOG_LEVEL none prints only the first lost batch', async () => {
  const endpoint = DEAD_ENDPOINT;
  const { code, stderr } = await runExample('quickstart/quickstart.mjs', {
    env: { ...unanswered, OTEL_EXPORTER_FLUENT_FORWARD_ENDPOINT: endpoint, OTEL_LOG_LEVEL: 'none' },
  });
  expect(code).toBe(0);
  expect(stderr).not.toContain('opentelemetry-exporter-fluent-forward tcp://');
  expect(stderr).toContain('[FLUENT_FORWARD_EXPORT_FAILED]');
});
