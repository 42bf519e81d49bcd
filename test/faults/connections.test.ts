import { describe, expect } from 'vitest';
import { ForwardReceiver, type ReceivedMessage } from '../../src/testing/index.ts';
import { settle, until } from '../support/fake-clock.ts';
import { harness } from '../support/harness.ts';
import { freePort } from '../support/receiver-process.mjs';
import { untilStuck } from '../support/stuck-sockets.ts';
import { ChildReceiver } from './children.ts';
import {
  ACK_LOST,
  BACKOFF_MILLIS,
  sendAndAwaitAnswer,
  sendAndAwaitArrival,
  sendAndAwaitWarning,
  testFaults,
} from './fault-case.ts';

const RESET = /the server reset the connection|EPIPE|ECONNRESET/;
const CLOSED =
  /the server closed the connection before it said anything; .*\?; 1 unacknowledged record\(s\) in 1 chunk\(s\) will be sent again/;

/** The size of the chunk that a case's first export makes. */
async function bytesOfAChunk(): Promise<number> {
  const receiver = await ForwardReceiver.listen();
  const { exporter, send } = harness({ endpoint: receiver.endpoint });
  await send('record 0');
  await exporter.shutdown();
  await receiver.close();
  const [message] = receiver.messages as [ReceivedMessage];
  return message.bytes;
}

const chunkBytes = await bytesOfAChunk();

describe('connections', () => {
  let port: number;
  let child: ChildReceiver;

  testFaults([
    {
      name: 'the exporter delivers at its next dial after a receiver that refused connections is back',
      receivers: [],
      options: async () => {
        port = await freePort();
        return { endpoint: `tcp://127.0.0.1:${port}` };
      },
      happens: async (run) => {
        run.send(3);
        await run.warned();
        await run.clock.advance(8_000);
        await run.listen({ port });
      },
      // The dials were at 75, 225, 525, 1125, 2325 and 4725 ms, and the next is at 8475 ms.
      settlesAfter: 475,
      warns: [/connection refused; is the receiver running/],
    },
    {
      name: 'an export fails at its deadline if every connection is refused',
      receivers: [],
      options: async () => ({ endpoint: `tcp://127.0.0.1:${await freePort()}` }),
      settlesAfter: 25_000,
      results: ['FLUENT_FORWARD_TIMEOUT'],
      cause: 'FLUENT_FORWARD_CONNECT_FAILED',
      warns: [/connection refused; is the receiver running/],
      isFinal: true,
    },
    {
      name: 'the exporter dials again after a connection is reset as soon as it is accepted',
      receivers: [{ connectionFaults: [{ kind: 'reset', afterBytes: 0 }] }],
      settlesAfter: BACKOFF_MILLIS,
      warns: [RESET],
    },
    {
      name: 'the exporter dials again after a connection is closed as soon as it is accepted',
      receivers: [{ connectionFaults: [{ kind: 'close', afterBytes: 0 }] }],
      settlesAfter: BACKOFF_MILLIS,
      warns: [/closed the connection|EPIPE|reset the connection/],
    },
    {
      name: 'an export succeeds without a warning after the reset of a successor that waits for work',
      options: () => ({ rotationIntervalMillis: 1_000 }),
      happens: async (run) => {
        await run.prove();
        await run.clock.advance(500);
        await until(() => run.openConnections === 2 && run.openAtExporter === 2);
        run.receiver.resetConnection(1);
        await until(() => run.openConnections === 1 && run.sockets.open.length === 1);
        run.send();
      },
    },
    {
      name: 'an export succeeds without a warning after the reset of an idle connection',
      happens: async (run) => {
        await run.prove();
        run.receiver.resetConnections();
        await until(() => run.sockets.open.length === 0);
        run.send();
      },
    },
    ...Array.from({ length: chunkBytes - 1 }, (_, i) => ({
      name: `the exporter resends a chunk whose connection is reset at byte ${i + 1} of ${chunkBytes}`,
      receivers: [{ connectionFaults: [{ kind: 'reset', afterBytes: i + 1 } as const] }],
      settlesAfter: BACKOFF_MILLIS,
      warns: [RESET],
    })),
    {
      name: 'the exporter resends a chunk whose connection is reset after its last byte',
      receivers: [{ messageFaults: [{ kind: 'reset', when: 'before ack' }] }],
      settlesAfter: BACKOFF_MILLIS,
      warns: [RESET],
      duplicates: { exactly: 1, because: ACK_LOST },
    },
    {
      name: 'the exporter resends a chunk to the second receiver if the first resets the connection',
      receivers: [{}, {}],
      happens: async (run) => {
        const script = () => (run.messages.length === 0 ? ({ kind: 'reset', when: 'before ack' } as const) : undefined);
        for (const receiver of run.receivers) receiver.messageFaults = script;
        await sendAndAwaitWarning(run);
        await run.clock.advance(BACKOFF_MILLIS);
        await until(() => run.isSettled);
        expect(run.receivers.map(({ messageCount }) => messageCount)).toEqual([1, 1]);
      },
      warns: [RESET],
      duplicates: { exactly: 1, because: ACK_LOST },
    },
    {
      name: 'the exporter resends a chunk whose connection is reset after half an ack',
      receivers: [{ messageFaults: [{ kind: 'truncate' }] }],
      happens: async (run) => {
        await sendAndAwaitAnswer(run);
        run.receiver.resetConnections();
        await run.warned();
      },
      settlesAfter: BACKOFF_MILLIS,
      warns: [RESET],
      duplicates: { exactly: 1, because: ACK_LOST },
    },
    {
      name: 'the exporter resends a chunk whose connection is closed before the ack',
      receivers: [{ messageFaults: [{ kind: 'close', when: 'before ack' }] }],
      settlesAfter: BACKOFF_MILLIS,
      warns: [CLOSED],
      duplicates: { exactly: 1, because: ACK_LOST },
    },
    {
      name: 'the exporter resends only unacknowledged chunks after a connection is closed between acks',
      receivers: [{ messageFaults: [undefined, undefined, undefined, { kind: 'close', when: 'before ack' }] }],
      happens: async (run) => {
        await run.prove();
        run.send(5);
        await run.warned();
        expect(run.exports.filter(({ calls }) => calls > 0)).toHaveLength(3);
      },
      settlesAfter: BACKOFF_MILLIS,
      warns: [/the server closed the connection; 3 unacknowledged record\(s\) in 3 chunk\(s\)/],
      duplicates: { exactly: 3, because: 'the receiver had taken all five when it closed' },
    },
    {
      name: 'the exporter resends nothing after a connection is closed behind the last ack',
      receivers: [{ messageFaults: [undefined, undefined, { kind: 'close', when: 'after ack' }] }],
      happens: async (run) => {
        await run.prove();
        run.send(2);
        await until(() => run.sockets.open.length === 0);
        run.send();
      },
    },
    {
      name: 'an export to a black hole fails at its deadline and reports the connect timeout',
      receivers: [],
      options: async (run) => ({ endpoint: `tcp://127.0.0.1:${(await run.openBlackHole()).port}` }),
      happens: (run) => void run.send(),
      settlesAfter: 25_000,
      results: ['FLUENT_FORWARD_TIMEOUT'],
      cause: 'FLUENT_FORWARD_CONNECT_TIMEOUT',
      warns: [/the connect took longer than 5000 ms/],
      isFinal: true,
    },
    {
      name: 'the exporter dials a second address after the connect timeout if the first is a black hole',
      options: async (run) => {
        const ports = [(await run.openBlackHole()).port, run.receiver.port];
        return {
          endpoint: 'tcp://fluent',
          resolver: async () => ports.map((port) => ({ address: '127.0.0.1', port })),
        };
      },
      happens: (run) => void run.send(),
      settlesAfter: 5_000,
      debugs: /the connect took longer than 5000 ms; another address is tried/,
    },
    {
      name: 'the exporter resends a chunk after the ack timeout if the receiver never answers',
      receivers: [{ messageFaults: [{ kind: 'withhold' }] }],
      happens: sendAndAwaitArrival,
      settlesAfter: 5_000 + BACKOFF_MILLIS,
      warns: [/no ack within 5000 ms/],
      duplicates: { exactly: 1, because: ACK_LOST },
    },
    {
      name: 'the exporter resends a small chunk if the receiver stops reading in the middle',
      receivers: [{ connectionFaults: [{ kind: 'stop reading', afterBytes: 10 }] }],
      happens: async (run) => {
        run.send();
        await until(() => (run.sockets.open[0]?.bytesWritten ?? 0) > 0);
      },
      settlesAfter: 5_000 + BACKOFF_MILLIS,
      warns: [/no ack within 5000 ms/],
    },
    {
      name: 'the exporter resends a large chunk if the receiver stops reading in the middle',
      receivers: [{ connectionFaults: [{ kind: 'stop reading', afterBytes: 10 }] }],
      options: () => ({ maxChunkBytes: 6_000_000, maxStringBytes: 6_000_000 }),
      happens: async (run) => {
        run.send(1, { bytes: 5_900_000 });
        await untilStuck(() => run.sockets.open);
      },
      settlesAfter: 5_000,
      warns: [/the server has read nothing for 5000 ms/],
      heldConnections: 1,
      // The records that arrived. Garbage of up to 160 was measured.
      maxGrowth: { used: 48 },
    },
    {
      name: 'a chunk that is resent while its receiver is paused arrives twice',
      receivers: [],
      options: async (run) => {
        child = run.use(await ChildReceiver.start());
        return { endpoint: child.endpoint };
      },
      happens: async (run) => {
        await run.prove();
        child.pause();
        run.send();
        await settle();
        await run.clock.advance(5_000 + BACKOFF_MILLIS);
        // The kernel accepts, and the chunk is sent once more.
        await until(
          () => run.sockets.open.length === 2 && run.sockets.open.every(({ bytesWritten }) => bytesWritten > 0),
        );
        child.resume();
        await until(() => run.messages.length === 3);
      },
      warns: [/no ack within 5000 ms/],
      duplicates: { exactly: 1, because: 'the kernel took it twice for a receiver that had stopped' },
    },
  ]);
});
