import { encode } from '@msgpack/msgpack';
import { describe, expect } from 'vitest';
import type { ReceivedMessage } from '../../src/testing/index.ts';
import { settle, until } from '../support/fake-clock.ts';
import { HeldAck } from '../support/held-ack.ts';
import { BACKOFF_MILLIS, type FaultCase, meetsSilence, testFaults } from './fault-case.ts';

const TAKEN = 'the receiver had taken it before it answered like that';
const NO_ACK = /no ack within 5000 ms/;

let ack: HeldAck;

/** All acks of the receiver are held. */
const held: Pick<FaultCase, 'options'> = {
  options: ({ receiver }) => {
    ack = new HeldAck();
    receiver.messageFaults = () => ack.fault;
    return {};
  },
};

/** What comes in place of an ack, and ends the connection. */
function hostile(name: string, bytes: Uint8Array, warning: RegExp): FaultCase {
  return {
    name: `is ${name}`,
    receivers: [{ messageFaults: [{ kind: 'garbage', bytes }] }],
    settlesAfter: BACKOFF_MILLIS,
    warns: [warning],
    duplicates: { exactly: 1, because: TAKEN },
    grows: 16,
  };
}

describe('an answer', () => {
  testFaults([
    {
      name: 'comes a byte at a time',
      receivers: [{ messageFaults: [{ kind: 'drip', millis: 0 }] }],
      happens: (run) => void run.send(),
    },
    {
      name: 'comes by half',
      receivers: [{ messageFaults: [{ kind: 'truncate' }] }],
      happens: meetsSilence,
      settlesAfter: 5_000 + BACKOFF_MILLIS,
      warns: [NO_ACK],
      duplicates: { exactly: 1, because: TAKEN },
    },
    {
      name: 'comes twice',
      receivers: [{ messageFaults: () => ({ kind: 'repeat', times: 2 }) }],
      happens: async (run) => {
        await run.prove();
        run.send(20);
      },
    },
    {
      name: 'comes with 99 others in one packet',
      options: () => ({ maxInFlightChunks: 100 }),
      happens: async (run) => {
        await run.prove();
        const acks: Uint8Array[] = [];
        run.receiver.messageFaults = ({ chunk }) => {
          acks.push(encode({ ack: chunk }));
          return acks.length < 100 ? { kind: 'withhold' } : { kind: 'garbage', bytes: Buffer.concat(acks) };
        };
        run.send(100);
        await until(() => run.isSettled);
        run.receiver.messageFaults = [];
      },
    },
    {
      name: 'names a chunk that nobody sent',
      receivers: [{ messageFaults: [{ kind: 'misaddress' }] }],
      happens: meetsSilence,
      settlesAfter: 5_000 + BACKOFF_MILLIS,
      warns: [NO_ACK],
      duplicates: { exactly: 1, because: TAKEN },
    },
    {
      name: 'names a chunk that went over another connection',
      receivers: [{}, {}],
      options: () => ({ connections: 2 }),
      happens: async (run) => {
        await run.prove();
        run.send(2);
        await until(() => run.isSettled && run.openConnections === 2);
        const taken: ReceivedMessage[] = [];
        for (const receiver of run.receivers) {
          receiver.messageFaults = (message) => {
            const [first] = taken;
            if (taken.push(message) > 2) return undefined;
            return first === undefined
              ? { kind: 'withhold' }
              : { kind: 'garbage', bytes: encode({ ack: first.chunk }) };
          };
        }
        const before = run.receivers.map(({ messageCount }) => messageCount);
        run.send(2);
        await until(() => taken.length === 2);
        expect(run.receivers.map(({ messageCount }, i) => messageCount - (before[i] ?? 0))).toEqual([1, 1]);
        await settle();
      },
      settlesAfter: 5_000 + BACKOFF_MILLIS,
      warns: [NO_ACK],
      duplicates: { exactly: 2, because: TAKEN },
    },
    {
      name: 'comes late, while its chunk waits to be sent again',
      ...held,
      happens: async (run) => {
        await meetsSilence(run);
        await run.clock.advance(5_000);
        run.receiver.messageFaults = [];
        ack.release();
      },
      warns: [NO_ACK],
    },
    {
      name: 'comes late, when its chunk has been sent again',
      ...held,
      happens: async (run) => {
        await meetsSilence(run);
        run.receiver.messageFaults = [{ kind: 'withhold' }];
        await run.clock.advance(5_000 + BACKOFF_MILLIS);
        await until(() => run.messages.length === 2);
        ack.release();
      },
      warns: [NO_ACK],
      duplicates: { exactly: 1, because: 'the receiver was slower than ackTimeoutMillis' },
    },
    {
      name: 'comes after the deadline',
      ...held,
      happens: async (run) => {
        await meetsSilence(run);
        await run.clock.advance(25_000);
        await until(() => run.isSettled);
        run.receiver.messageFaults = [];
        ack.release();
        await settle();
      },
      results: ['FLUENT_FORWARD_CHUNK_REFUSED'],
      cause: 'FLUENT_FORWARD_ACK_TIMEOUT',
      tellsRecovery: true,
      warns: [NO_ACK, /reaches receivers and is not acknowledged/],
      duplicates: { exactly: 4, because: 'it was tried at 0, 5.1, 10.2, 15.5 and 21.1 s, and taken each time' },
    },
    {
      name: 'is {}',
      receivers: [{ messageFaults: [{ kind: 'refuse' }] }],
      settlesAfter: BACKOFF_MILLIS,
      warns: [/answered a chunk without accepting it/],
    },
    hostile('nil', Uint8Array.of(0xc0), /neither map nor array/),
    hostile('no MessagePack', Uint8Array.of(0xc1), /the byte 0xc1, which is no MessagePack/),
    hostile('the header of a 100 MB string', Buffer.from([0xdb, 6, 0, 0, 0, ...Buffer.alloc(100)]), /more than 65536/),
    hostile('a million nested arrays', Buffer.alloc(1_000_000, 0x91), /nested deeper than 32/),
  ]);
});
