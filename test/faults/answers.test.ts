import { encode } from '@msgpack/msgpack';
import { describe, expect } from 'vitest';
import type { ReceivedMessage } from '../../src/testing/index.ts';
import { until } from '../support/fake-clock.ts';
import { HeldAck } from '../support/held-ack.ts';
import { BACKOFF_MILLIS, type FaultCase, sendAndAwaitAnswer, sendAndAwaitArrival, testFaults } from './fault-case.ts';

const TAKEN = 'the receiver had taken the chunk before it sent that answer';
const NO_ACK = /no ack within 5000 ms/;

let ack: HeldAck;

/** The receiver holds all acks back. */
const holdingAcks: Pick<FaultCase, 'options'> = {
  options: ({ receiver }) => {
    ack = new HeldAck();
    receiver.messageFaults = () => ack.fault;
    return {};
  },
};

/** An answer for which the exporter closes the connection. */
function hostile(name: string, bytes: Uint8Array, warning: RegExp): FaultCase {
  return {
    name: `the exporter resends a chunk if the answer to it is ${name}`,
    receivers: [{ messageFaults: [{ kind: 'garbage', bytes }] }],
    settlesAfter: BACKOFF_MILLIS,
    warns: [warning],
    duplicates: { exactly: 1, because: TAKEN },
    // The string and the arrays would take 100 MB or more.
    maxGrowth: { withGarbage: 64, used: 16 },
  };
}

describe('answers of the receiver', () => {
  testFaults([
    {
      name: 'the exporter accepts an ack that arrives one byte at a time',
      receivers: [{ messageFaults: [{ kind: 'drip', millis: 0 }] }],
      happens: (run) => void run.send(),
    },
    {
      name: 'the exporter resends a chunk after the ack timeout if only half an ack arrives',
      receivers: [{ messageFaults: [{ kind: 'truncate' }] }],
      happens: sendAndAwaitAnswer,
      settlesAfter: 5_000 + BACKOFF_MILLIS,
      warns: [NO_ACK],
      duplicates: { exactly: 1, because: TAKEN },
    },
    {
      name: 'the exporter ignores the second of two acks for the same chunk',
      receivers: [{ messageFaults: () => ({ kind: 'repeat', times: 2 }) }],
      happens: async (run) => {
        await run.prove();
        run.send(20);
      },
    },
    {
      name: 'the exporter accepts 100 acks that arrive in one packet',
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
      name: 'the exporter resends a chunk after the ack timeout if the ack names an unknown chunk',
      receivers: [{ messageFaults: [{ kind: 'misaddress' }] }],
      happens: sendAndAwaitAnswer,
      settlesAfter: 5_000 + BACKOFF_MILLIS,
      warns: [NO_ACK],
      duplicates: { exactly: 1, because: TAKEN },
    },
    {
      name: "the exporter resends chunks after the ack timeout if an ack names another connection's chunk",
      receivers: [{}, {}],
      options: () => ({ connections: 2 }),
      happens: async (run) => {
        await run.prove();
        run.send(2);
        await until(() => run.isSettled && run.openAtExporter === 2);
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
        const bytesRead = run.sockets.open.reduce((sum, { bytesRead }) => sum + bytesRead, 0);
        run.send(2);
        await until(() => taken.length === 2);
        expect(run.receivers.map(({ messageCount }, i) => messageCount - (before[i] ?? 0))).toEqual([1, 1]);
        await until(() => run.sockets.open.reduce((sum, { bytesRead }) => sum + bytesRead, 0) > bytesRead);
      },
      settlesAfter: 5_000 + BACKOFF_MILLIS,
      warns: [NO_ACK],
      duplicates: { exactly: 2, because: TAKEN },
    },
    {
      name: 'a late ack settles a chunk that waits to be resent',
      ...holdingAcks,
      happens: async (run) => {
        await sendAndAwaitArrival(run);
        await run.clock.advance(5_000);
        run.receiver.messageFaults = [];
        ack.release();
      },
      warns: [NO_ACK],
    },
    {
      name: 'a late ack settles a chunk that has been resent',
      ...holdingAcks,
      happens: async (run) => {
        await sendAndAwaitArrival(run);
        run.receiver.messageFaults = [{ kind: 'withhold' }];
        await run.clock.advance(5_000 + BACKOFF_MILLIS);
        await until(() => run.messages.length === 2);
        ack.release();
      },
      warns: [NO_ACK],
      duplicates: { exactly: 1, because: 'the receiver was slower than ackTimeoutMillis' },
    },
    {
      name: 'an export fails at its deadline if all its acks arrive later',
      ...holdingAcks,
      happens: async (run) => {
        await sendAndAwaitArrival(run);
        await run.clock.advance(25_000);
        await until(() => run.isSettled && run.messages.length === 5);
        run.receiver.messageFaults = [];
        ack.release();
        await until(() => run.sockets.open.some(({ bytesRead }) => bytesRead > 0));
      },
      results: ['FLUENT_FORWARD_TIMEOUT'],
      cause: 'FLUENT_FORWARD_ACK_TIMEOUT',
      logsRecovery: true,
      warns: [NO_ACK],
      duplicates: { exactly: 4, because: 'it was tried at 0, 5.1, 10.2, 15.5 and 21.1 s, and taken each time' },
    },
    {
      name: 'the exporter resends a chunk that the receiver answers with an empty map',
      receivers: [{ messageFaults: [{ kind: 'refuse' }] }],
      settlesAfter: BACKOFF_MILLIS,
      warns: [/answered a chunk without accepting it/],
    },
    hostile('nil', Uint8Array.of(0xc0), /neither map nor array/),
    hostile('not MessagePack', Uint8Array.of(0xc1), /the byte 0xc1, which is no MessagePack/),
    hostile('the header of a 100 MB string', Buffer.from([0xdb, 6, 0, 0, 0, ...Buffer.alloc(100)]), /more than 65536/),
    hostile('a million nested arrays', Buffer.alloc(1_000_000, 0x91), /nested deeper than 32/),
  ]);
});
