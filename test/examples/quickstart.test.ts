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
  OTEL_EXPORTER_FLUENT_FORWARD_ENDPOINT: DEAD_ENDPOINT,
  OTEL_EXPORTER_FLUENT_FORWARD_FLUSH_TIMEOUT: '1000',
};

test('the quickstart ends and prints the cause, a hint and the loss when nothing listens', async () => {
  const { code, stdout, stderr } = await runExample('quickstart/quickstart.mjs', { env: unanswered });
  expect({ code, stdout }).toEqual({ code: 0, stdout: '' });
  expect(stderr).toContain(
    `opentelemetry-exporter-fluent-forward ${DEAD_ENDPOINT}: connection refused; is the receiver running, and listening there?`,
  );
  expect(stderr).toContain('[FLUENT_FORWARD_RECORDS_DROPPED]');
  expect(stderr).toContain(`${DEAD_ENDPOINT}: 1 log record(s) dropped so far (`);
});

test('the quickstart with OTEL_LOG_LEVEL none prints only the first loss', async () => {
  const env = { ...unanswered, OTEL_LOG_LEVEL: 'none' };
  const { code, stderr } = await runExample('quickstart/quickstart.mjs', { env });
  expect(code).toBe(0);
  expect(stderr).not.toContain('opentelemetry-exporter-fluent-forward tcp://');
  expect(stderr).toContain('[FLUENT_FORWARD_RECORDS_DROPPED]');
});
