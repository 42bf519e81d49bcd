import { onTestFinished } from 'vitest';
import { ForwardReceiver, type ForwardReceiverOptions } from '../../src/testing/index.ts';
import { LONG_LIMIT_VARIABLES } from '../support/long-limits.ts';
import { type Finished, runProgram } from '../support/run-program.ts';

const PRELUDE = `
  import {
    FluentForwardLogExporter, FluentForwardLogRecordProcessor, flushOnSignals,
  } from 'opentelemetry-exporter-fluent-forward';
  const recordOf = (body, attributes = {}) =>
    ({ hrTime: [1_700_000_000, 0], body, attributes, resource: { attributes: {} } });
  const emit = (processor, ...bodies) => { for (const body of bodies) processor.onEmit(recordOf(body)); };
  const print = (value) => process.stdout.write(JSON.stringify(value));
`;

/** Runs the text of an ES module. */
export function runModule(code: string, env: Record<string, string> = {}): Promise<Finished> {
  return runProgram('.', {
    env: { ...LONG_LIMIT_VARIABLES, ...env },
    nodeOptions: ['--input-type=module', '--eval', code],
  });
}

/** Runs an ES module with this package, and functions that log and print. */
export function runCode(code: string, env?: Record<string, string>): Promise<Finished> {
  return runModule(PRELUDE + code, env);
}

/** A receiver that is closed when the test ends. */
export async function listen(options?: ForwardReceiverOptions): Promise<ForwardReceiver> {
  const receiver = await ForwardReceiver.listen(options);
  onTestFinished(() => receiver.close());
  return receiver;
}

export function endpointOf(receiver: ForwardReceiver): Record<string, string> {
  return { OTEL_EXPORTER_FLUENT_FORWARD_ENDPOINT: receiver.endpoint };
}

/** The bodies that have arrived. */
export function bodiesOf(receiver: ForwardReceiver): unknown[] {
  return receiver.entries.map(({ record }) => {
    const { body, message } = record as { body?: unknown; message?: unknown };
    return message ?? body;
  });
}

/** An endpoint that refuses connections. */
export async function deadEndpoint(): Promise<string> {
  const receiver = await ForwardReceiver.listen();
  const { endpoint } = receiver;
  await receiver.close();
  return endpoint;
}
