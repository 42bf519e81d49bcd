import { afterAll, expect, test } from 'vitest';
import { ForwardReceiver, type ForwardReceiverOptions } from '../../src/testing/index.ts';
import { tableValue } from '../support/run-program.ts';
import { DEAD_ENDPOINT, runExample } from './run-example.ts';

const receivers: ForwardReceiver[] = [];

afterAll(async () => {
  for (const receiver of receivers) await receiver.close();
});

async function listen(options: ForwardReceiverOptions = {}): Promise<ForwardReceiver> {
  const receiver = await ForwardReceiver.listen(options);
  receivers.push(receiver);
  return receiver;
}

const runDemo = (args: readonly string[] = [], env: Record<string, string> = {}) =>
  runExample('demo/demo.mjs', { args, env });

/** Ends the demo soon if no record is acknowledged. */
const SHORT_LIMITS = {
  OTEL_EXPORTER_FLUENT_FORWARD_ACK_TIMEOUT: '3000',
  OTEL_EXPORTER_FLUENT_FORWARD_FLUSH_TIMEOUT: '1000',
};

test.concurrent('the demo moves between two receivers and loses no record in an outage', async () => {
  const { code, stdout, stderr } = await runDemo();
  expect(stderr).toMatch(/^ {2}warn: tcp:\S+ .+; \d+ record\(s\) wait, and the next try is in \d+ ms$/m);
  expect(stderr).toMatch(/^ {2}warn: connected to tcp:\S+ \S+ again after [\d.]+ s, \d+ records resent, 0 failed$/m);
  expect(stdout).toMatch(/Both receivers are stopped\.[\s\S]+Both receivers are started again\./);
  expect(tableValue(stdout, 'emitted')).toBe(8_000);
  expect(tableValue(stdout, 'acknowledged')).toBe(8_000);
  const [a, b] = [tableValue(stdout, 'received by A'), tableValue(stdout, 'received by B')];
  expect(a + b - tableValue(stdout, 'duplicated')).toBe(8_000);
  expect(Math.min(a, b)).toBeGreaterThan(0);
  // The first falls within the first second, the others a second ± 10 % later.
  expect(tableValue(stdout, 'rotations')).toBeGreaterThanOrEqual(3);
  expect(tableValue(stdout, 'lost')).toBe(0);
  expect(stdout).toContain('Every record arrived, in spite of the outage');
  expect(code).toBe(0);

  // Off a terminal: a plain line every second, and no colours.
  expect(
    stdout.match(/^ {2}\d+\.\d s {2}emitted [\d,]+ {2}acknowledged [\d,]+ {2}A [\d,]+ {2}B [\d,]+/gm)?.length,
  ).toBeGreaterThanOrEqual(5);
  expect(stdout).not.toContain('\x1b');

  const record = JSON.parse(/^ {2}(\{$[\s\S]+?^ {2}\}$)/m.exec(stdout)?.[1] ?? 'null');
  expect(record).toMatchObject({
    message: expect.stringMatching(/^(GET|POST) \//),
    severity_text: expect.stringMatching(/^(INFO|WARN)$/),
    attributes: { 'demo.run': expect.any(String), 'demo.sequence': expect.any(Number) },
    scope: { name: 'demo' },
  });
});

test.concurrent('the demo sends every record to a receiver of the user', async () => {
  const receiver = await listen();
  const { code, stdout, stderr } = await runDemo(['--endpoint', receiver.endpoint, '--records', '1200']);
  expect(stderr).toContain(`  info: connected to ${receiver.endpoint}`);
  expect(tableValue(stdout, 'emitted')).toBe(1_200);
  expect(tableValue(stdout, 'acknowledged')).toBe(1_200);
  expect(code).toBe(0);
  const run = /demo\.run: (\S+)/.exec(stdout)?.[1];
  const attributes = receiver.entries.map(({ record }) => (record as { attributes: object }).attributes);
  expect(attributes).toHaveLength(1_200);
  expect(attributes.every((each) => 'demo.run' in each && each['demo.run'] === run)).toBe(true);
  expect(receiver.connectionCount).toBeGreaterThan(1);
});

test.concurrent('the demo fails and counts no record as acknowledged if the receiver refuses them', async () => {
  const receiver = await listen({ messageFaults: () => ({ kind: 'refuse' }) });
  const { code, stdout, stderr } = await runDemo(['--endpoint', receiver.endpoint, '--records', '60'], SHORT_LIMITS);
  expect(tableValue(stdout, 'acknowledged')).toBe(0);
  expect(stderr).toContain('records were not acknowledged');
  expect(code).toBe(1);
});

test.concurrent('the demo fails and prints the cause when nothing listens at the endpoint', async () => {
  const endpoint = DEAD_ENDPOINT;
  const { code, stdout, stderr } = await runDemo(['--endpoint', endpoint, '--records', '10000000'], SHORT_LIMITS);
  expect(tableValue(stdout, 'emitted')).toBeLessThan(10_000_000);
  expect(tableValue(stdout, 'acknowledged')).toBe(0);
  expect(stderr).toContain(`  warn: ${endpoint}: connection refused; is the receiver running, and listening there?`);
  expect(stderr).toMatch(/^Failed: [\d,]+ records were not acknowledged; [\d,]+ were not emitted any more\.$/m);
  expect(code).toBe(1);
});

test.concurrent('the demo prints its options with --help', async () => {
  const { code, stdout, stderr } = await runDemo(['--help']);
  expect(stdout).toContain('--endpoint <endpoint>');
  expect(stdout).toContain('--records <n>');
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
});

test.concurrent.each([
  { args: ['--records', '0'], message: "--records is a whole number from 1 to 10,000,000, not '0'" },
  { args: ['--records', '1.5'], message: "--records is a whole number from 1 to 10,000,000, not '1.5'" },
  { args: ['--records', ''], message: "--records is a whole number from 1 to 10,000,000, not ''" },
  { args: ['--records', 'many'], message: "not 'many'" },
  { args: ['--endpoint', 'http://localhost'], message: 'option endpoint: got "http://localhost"' },
  { args: ['--endpoint', ''], message: 'option endpoint: got ""' },
  { args: ['--speed', '3'], message: "Unknown option '--speed'" },
  { args: ['now'], message: "Unexpected argument 'now'" },
])('the demo refuses bad arguments and prints its usage: $args', async ({ args, message }) => {
  const { code, stdout, stderr } = await runDemo(args);
  expect(stderr).toContain(message);
  expect(stderr).toContain('Usage: npm run demo');
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
});
