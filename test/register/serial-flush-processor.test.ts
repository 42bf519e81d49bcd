import type { LogRecordExporter, LogRecordProcessor } from '@opentelemetry/sdk-logs';
import { expect, test } from 'vitest';
import { SerialFlushProcessor } from '../../src/register/serial-flush-processor.ts';

/** A processor and an exporter that write down their calls, some of which fail. */
function serialFlush(faults: Readonly<Record<string, () => unknown>>) {
  const calls: string[] = [];
  const errors: unknown[] = [];
  const call = (name: string) => async () => {
    calls.push(name);
    await faults[name]?.();
  };
  const processor = { forceFlush: call('flush processor'), shutdown: call('shut processor down') };
  const exporter = { forceFlush: call('flush exporter'), shutdown: call('shut exporter down') };
  const serial = new SerialFlushProcessor(processor as LogRecordProcessor, exporter as LogRecordExporter, (error) =>
    errors.push(error),
  );
  return { calls, errors, serial };
}

const fault = new Error('no flush');
const fail = () => {
  throw fault;
};

test.each(['flush processor', 'flush exporter'])(
  'a flush that fails is reported once and later ones run: %s',
  async (name) => {
    let calls = 0;
    const { serial, calls: made, errors } = serialFlush({ [name]: () => calls++ === 0 && fail() });
    await Promise.all([serial.forceFlush(), serial.forceFlush()]);
    expect(errors).toEqual([fault]);
    expect(made).toEqual(['flush processor', 'flush exporter', 'flush processor', 'flush exporter']);
  },
);

test('a shutdown after a flush that fails shuts down', async () => {
  const { serial, calls, errors } = serialFlush({ 'flush processor': fail });
  await serial.shutdown();
  expect(errors).toEqual([fault]);
  expect(calls).toEqual(['flush processor', 'flush exporter', 'shut processor down', 'shut exporter down']);
});

test('a shutdown of the processor that fails rejects after the exporter is shut down', async () => {
  const { serial, calls } = serialFlush({ 'shut processor down': fail });
  await expect(serial.shutdown()).rejects.toBe(fault);
  expect(calls.at(-1)).toBe('shut exporter down');
});
