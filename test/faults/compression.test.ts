import { describe, expect } from 'vitest';
import type { MessageFault, ReceivedMessage } from '../../src/testing/index.ts';
import { until } from '../support/fake-clock.ts';
import { ACK_LOST, BACKOFF_MILLIS, type FaultCase, testFaults } from './fault-case.ts';
import type { FaultRun } from './fault-run.ts';

/** Compresses to a fraction. */
const LARGE = { bytes: 100_000 };

/** A fault of the first compressed message, and of no other. */
function toCompressed(fault: MessageFault): (message: ReceivedMessage) => MessageFault | undefined {
  let isDone = false;
  return ({ mode }) => {
    if (isDone || mode !== 'compressed') return undefined;
    isDone = true;
    return fault;
  };
}

async function sendLargeAndAwaitWarning(run: FaultRun): Promise<void> {
  run.send(1, LARGE);
  await run.warned();
}

const gzip: Pick<FaultCase, 'options' | 'happens'> = {
  options: () => ({ compression: 'gzip' }),
  happens: sendLargeAndAwaitWarning,
};

// That a message which arrives again has the same bytes is asserted of every case.
describe('compressed chunks', () => {
  testFaults([
    {
      name: 'the exporter resends a compressed chunk whose connection is reset before the ack',
      receivers: [{ messageFaults: toCompressed({ kind: 'reset', when: 'before ack' }) }],
      ...gzip,
      settlesAfter: BACKOFF_MILLIS,
      warns: [/the server reset the connection/],
      duplicates: { exactly: 1, because: ACK_LOST },
    },
    {
      name: 'the exporter resends a compressed chunk to another receiver if the first closes the connection',
      receivers: [{ messageFaults: toCompressed({ kind: 'close', when: 'before ack' }) }, {}],
      ...gzip,
      settlesAfter: BACKOFF_MILLIS,
      warns: [/the server closed the connection/],
      duplicates: { exactly: 1, because: ACK_LOST },
    },
    {
      name: 'the exporter resends a compressed chunk after the ack timeout if its ack never arrives',
      receivers: [{ messageFaults: toCompressed({ kind: 'withhold' }) }],
      ...gzip,
      happens: async (run) => {
        run.send(1, LARGE);
        await until(() => run.messages.length > 0);
      },
      settlesAfter: 5_000 + BACKOFF_MILLIS,
      warns: [/no ack within 5000 ms/],
      duplicates: { exactly: 1, because: ACK_LOST },
    },
    {
      name: 'the exporter resends a compressed chunk that the receiver does not accept',
      receivers: [{ messageFaults: toCompressed({ kind: 'refuse' }) }],
      ...gzip,
      settlesAfter: BACKOFF_MILLIS,
      warns: [/answered a chunk without accepting it/],
    },
    {
      name: 'the exporter resends all compressed chunks in flight if their connection is reset',
      ...gzip,
      happens: async (run) => {
        await run.prove();
        run.receiver.messageFaults = () => ({ kind: 'withhold' });
        run.send(5, LARGE);
        await until(() => run.messages.length === 6);
        expect(run.messages.filter(({ mode }) => mode === 'compressed')).toHaveLength(5);
        run.receiver.messageFaults = [];
        run.receiver.resetConnections();
        await run.warned();
      },
      settlesAfter: BACKOFF_MILLIS,
      warns: [/the server reset the connection/],
      duplicates: { exactly: 5, because: ACK_LOST },
    },
  ]);
});
