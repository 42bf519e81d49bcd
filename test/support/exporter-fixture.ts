import { diag } from '@opentelemetry/api';
import { afterEach, beforeEach, expect } from 'vitest';
import { ForwardReceiver, type ForwardReceiverOptions, type ReceivedMessage } from '../../src/testing/index.ts';
import { unknownMessages } from './catalogue.ts';
import { until } from './fake-clock.ts';
import { dispose, type Harness, harness, type LogLine, recordDiag } from './harness.ts';

export interface ExporterFixture {
  /** What the exporters of this test have logged through `diag`. */
  readonly log: LogLine[];
  warnings(): string[];
  listen(options?: ForwardReceiverOptions): Promise<ForwardReceiver>;
  start(options: Parameters<typeof harness>[0]): Harness;
}

/** Receivers and exporters that are closed after each test of the file, which may log only what the catalogue holds, without control characters. */
export function exporterFixture(): ExporterFixture {
  const receivers: ForwardReceiver[] = [];
  const harnesses: Harness[] = [];
  const log: LogLine[] = [];

  beforeEach(() => {
    log.length = 0;
    recordDiag(log);
  });

  afterEach(async () => {
    diag.disable();
    await Promise.all(harnesses.splice(0).map(dispose));
    await Promise.all(receivers.splice(0).map((receiver) => receiver.close()));
    expect(unknownMessages(log)).toEqual([]);
    for (const [, text] of log) expect(text).not.toMatch(/\p{C}/u);
  });

  return {
    log,
    warnings: () => log.filter(([level]) => level === 'warn' || level === 'error').map(([, text]) => text),
    listen: async (options) => {
      const receiver = await ForwardReceiver.listen(options);
      receivers.push(receiver);
      return receiver;
    },
    start: (options) => {
      const made = harness(options);
      harnesses.push(made);
      return made;
    },
  };
}

/** An endpoint whose name stands for all of the receivers. */
export function named(...behind: ForwardReceiver[]) {
  return {
    endpoint: 'tcp://fluent',
    resolver: async () => behind.map(({ port }) => ({ address: '127.0.0.1', port })),
  };
}

/** Waits until the exporter has `count` connections, all of them open. */
export async function connected({ exporter }: Harness, count: number): Promise<void> {
  await until(() => {
    const { connections } = exporter.stats();
    return connections.length === count && connections.every(({ state }) => state === 'open');
  });
}

/** Waits until the exporter knows that all of its connections are lost. The receiver knows it earlier. */
export async function disconnected({ exporter }: Harness): Promise<void> {
  await until(() => exporter.stats().connections.length === 0);
}

/**
 * Advances the clock in steps until `isDone`, but not while `isBusy`, by default while there is a connection. A clock
 * that runs ahead of the sockets would make a slow machine look like a slow receiver.
 */
export async function advanceUntil(
  { clock, exporter }: Harness,
  stepMillis: number,
  isDone: () => boolean,
  isBusy: () => boolean = () => exporter.stats().connections.length > 0,
): Promise<void> {
  for (;;) {
    await until(() => isDone() || !isBusy());
    if (isDone()) return;
    await clock.advance(stepMillis);
  }
}

/** Whether a dial or a chunk is on its way. */
export function isUnderWay({ exporter }: Harness): boolean {
  return exporter.stats().connections.some(({ state, inFlightChunks }) => state === 'connecting' || inFlightChunks > 0);
}

/** Exports records one by one until the receiver gets one on this connection, which is acknowledged then. */
export async function sendOver(connection: number, { send }: Harness, receiver: ForwardReceiver): Promise<void> {
  do {
    const { error } = await send(`over connection ${connection}`);
    if (error !== undefined) throw error;
  } while (receiver.messages.at(-1)?.connection !== connection);
}

/** The string body of a message's first record. */
export function textOf({ entries }: ReceivedMessage): unknown {
  return (entries[0]?.record as { message?: unknown } | undefined)?.message;
}
