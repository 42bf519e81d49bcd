import { describe, expect } from 'vitest';
import type { MessageFault, ReceivedMessage } from '../../src/testing/index.ts';
import { until } from '../support/fake-clock.ts';
import { BACKOFF_MILLIS, type FaultCase, HAD_IT, testFaults } from './fault-case.ts';
import type { FaultRun } from './fault-run.ts';

/** Compresses to a fraction. */
const LARGE = { bytes: 100_000 };

/** Happens to the first compressed message, and to no other. */
function toCompressed(fault: MessageFault): (message: ReceivedMessage) => MessageFault | undefined {
  let isDone = false;
  return ({ mode }) => {
    if (isDone || mode !== 'compressed') return undefined;
    isDone = true;
    return fault;
  };
}

async function meetsFault(run: FaultRun): Promise<void> {
  run.send(1, LARGE);
  await run.warned();
}

const gzip: Pick<FaultCase, 'options' | 'happens'> = { options: () => ({ compression: 'gzip' }), happens: meetsFault };

// That a message which comes again has the same bytes is asserted of every case.
describe('a compressed chunk', () => {
  testFaults([
    {
      name: 'whose connection is reset before the ack',
      receivers: [{ messageFaults: toCompressed({ kind: 'reset', when: 'before ack' }) }],
      ...gzip,
      settlesAfter: BACKOFF_MILLIS,
      warns: [/the server reset the connection/],
      duplicates: { exactly: 1, because: HAD_IT },
    },
    {
      name: 'whose connection is closed before the ack, over another receiver',
      receivers: [{ messageFaults: toCompressed({ kind: 'close', when: 'before ack' }) }, {}],
      ...gzip,
      settlesAfter: BACKOFF_MILLIS,
      warns: [/the server closed the connection/],
      duplicates: { exactly: 1, because: HAD_IT },
    },
    {
      name: 'whose ack never comes',
      receivers: [{ messageFaults: toCompressed({ kind: 'withhold' }) }],
      ...gzip,
      happens: async (run) => {
        run.send(1, LARGE);
        await until(() => run.messages.length > 0);
      },
      settlesAfter: 5_000 + BACKOFF_MILLIS,
      warns: [/no ack within 5000 ms/],
      duplicates: { exactly: 1, because: HAD_IT },
    },
    {
      name: 'that the receiver does not accept',
      receivers: [{ messageFaults: toCompressed({ kind: 'refuse' }) }],
      ...gzip,
      settlesAfter: BACKOFF_MILLIS,
      warns: [/answered a chunk without accepting it/],
    },
    {
      name: 'among others, all of whose connection is lost at once',
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
      duplicates: { exactly: 5, because: HAD_IT },
    },
  ]);
});
