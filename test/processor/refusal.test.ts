import { diag } from '@opentelemetry/api';
import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import { describe, expect, it, onTestFinished } from 'vitest';
import { FluentForwardLogRecordProcessor } from '../../src/processor.ts';
import { ForwardReceiver } from '../../src/testing/index.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { record } from '../support/records.ts';

/** Messages above this size are refused. */
const MAX_MESSAGE_BYTES = 4_096;

/** More than are needed for five tries of each record. */
const MAX_TRIES = 200;

describe('a memory bound that is full of refused records', () => {
  it('new records get through, and prove that the others are refused', async () => {
    const receiver = await ForwardReceiver.listen({
      messageFaults: ({ bytes }) => (bytes > MAX_MESSAGE_BYTES ? { kind: 'reset', when: 'before ack' } : undefined),
    });
    const clock = new FakeClock();
    const options = { endpoint: receiver.endpoint, maxInFlightBytes: 32_768, flushTimeoutMillis: 1 };
    const processor = new FluentForwardLogRecordProcessor(options, { clock, random: () => 0 });
    onTestFinished(async () => {
      const closed = processor.shutdown();
      await clock.advance(1);
      await closed;
      await receiver.close();
    });
    const emit = (body: string) => processor.onEmit(record({ body, severityNumber: 17 }) as ReadableLogRecord as never);
    while (processor.stats().dropped.memory === 0) {
      emit('x'.repeat(MAX_MESSAGE_BYTES));
      // Sealing a chunk gives memory back.
      await clock.advance(200);
    }
    const { records } = processor.stats().held;
    for (let tries = 0; tries < MAX_TRIES && processor.stats().dropped.refused < records; tries++) {
      emit('small');
      await clock.advance(5_000);
      expect(processor.stats().held.records).toBeLessThanOrEqual(records + 4);
    }
    expect(processor.stats().dropped.refused).toBe(records);
    expect(receiver.entryCount).toBeGreaterThan(0);
  });
});

describe('a refused chunk', () => {
  it('is counted once if the logger that its loss is reported to shuts the processor down', async () => {
    const receiver = await ForwardReceiver.listen({
      messageFaults: ({ bytes }) => (bytes > MAX_MESSAGE_BYTES ? { kind: 'reset', when: 'before ack' } : undefined),
    });
    const clock = new FakeClock();
    const processor = new FluentForwardLogRecordProcessor({ endpoint: receiver.endpoint }, { clock, random: () => 0 });
    const error = (_: string, message: unknown) => {
      if (String(message).includes('receivers refuse them')) void processor.shutdown();
    };
    diag.setLogger({ error, warn() {}, info() {}, debug() {}, verbose() {} });
    onTestFinished(async () => {
      diag.disable();
      await processor.shutdown();
      await receiver.close();
    });
    const emit = (body: string) => processor.onEmit(record({ body, severityNumber: 17 }) as ReadableLogRecord as never);
    emit('x'.repeat(MAX_MESSAGE_BYTES));
    for (let tries = 0; tries < MAX_TRIES && processor.stats().dropped.refused === 0; tries++) {
      await clock.advance(5_000);
      emit('small');
    }
    const { acknowledged, dropped, emitted, held } = processor.stats();
    expect(dropped.refused).toBe(1);
    expect(acknowledged.records + dropped.refused + dropped.shut_down + held.records).toBe(emitted);
    expect(held.records).toBeGreaterThanOrEqual(0);
  });
});
