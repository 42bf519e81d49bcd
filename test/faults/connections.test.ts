import { describe, expect } from 'vitest';
import { ForwardReceiver, type ReceivedMessage } from '../../src/testing/index.ts';
import { settle, until } from '../support/fake-clock.ts';
import { harness } from '../support/harness.ts';
import { BlackHole, ChildReceiver } from './children.ts';
import { BACKOFF_MILLIS, HAD_IT, meetsFault, meetsSilence, testFaults } from './fault-case.ts';
import type { FaultRun } from './fault-run.ts';

const RESET = /the server reset the connection|EPIPE|ECONNRESET/;
const CLOSED =
  /the server closed the connection before it said anything; .*\?; 1 unacknowledged record\(s\) in 1 chunk\(s\) will be sent again/;

/** A port that nobody listens on, and that a receiver can come back to. */
async function freePort(run: FaultRun): Promise<number> {
  const { port } = run.receiver;
  await run.receiver.close();
  return port;
}

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

describe('a connection', () => {
  let paused: ChildReceiver;

  testFaults([
    {
      name: 'is refused, until the receiver comes back',
      happens: async (run) => {
        const port = await freePort(run);
        run.send(3);
        await run.warned();
        await run.clock.advance(8_000);
        await run.listen({ port });
      },
      // The dials were at 75, 225, 525, 1125, 2325, 4725 and 8475 ms: within a backoff step of the return.
      settlesAfter: 475,
      warns: [/connection refused; is the receiver running/],
    },
    {
      name: 'is refused for good',
      happens: async (run) => {
        await freePort(run);
        await meetsFault(run);
      },
      settlesAfter: 25_000,
      results: ['FLUENT_FORWARD_TIMEOUT'],
      cause: 'FLUENT_FORWARD_CONNECT_FAILED',
      warns: [/connection refused; is the receiver running/],
      isFinal: true,
    },
    {
      name: 'is reset when it is accepted',
      receivers: [{ connectionFaults: [{ kind: 'reset', afterBytes: 0 }] }],
      settlesAfter: BACKOFF_MILLIS,
      warns: [RESET],
    },
    {
      name: 'gets a FIN when it is accepted',
      receivers: [{ connectionFaults: [{ kind: 'close', afterBytes: 0 }] }],
      settlesAfter: BACKOFF_MILLIS,
      warns: [/closed the connection|EPIPE|reset the connection/],
    },
    {
      name: 'is reset before it has a chunk, where a HELO would come: as a successor that waits for work',
      options: () => ({ rotationIntervalMillis: 1_000 }),
      happens: async (run) => {
        await run.prove();
        await run.clock.advance(500);
        await until(() => run.openConnections === 2);
        run.receiver.resetConnection(1);
        await until(() => run.openConnections === 1 && run.sockets.open.length === 1);
        run.send();
      },
    },
    {
      name: 'is reset while it is idle',
      happens: async (run) => {
        await run.prove();
        run.receiver.resetConnections();
        await until(() => run.sockets.open.length === 0);
        run.send();
      },
    },
    ...Array.from({ length: chunkBytes - 1 }, (_, i) => ({
      name: `is reset at byte ${i + 1} of the ${chunkBytes} of a chunk`,
      receivers: [{ connectionFaults: [{ kind: 'reset', afterBytes: i + 1 } as const] }],
      settlesAfter: BACKOFF_MILLIS,
      warns: [RESET],
    })),
    {
      name: 'is reset behind the last byte of a chunk',
      receivers: [{ messageFaults: [{ kind: 'reset', when: 'before ack' }] }],
      settlesAfter: BACKOFF_MILLIS,
      warns: [RESET],
      duplicates: { exactly: 1, because: HAD_IT },
    },
    {
      name: 'is reset at one of two receivers, and the chunk goes to the other',
      receivers: [{}, {}],
      happens: async (run) => {
        const script = () => (run.messages.length === 0 ? ({ kind: 'reset', when: 'before ack' } as const) : undefined);
        for (const receiver of run.receivers) receiver.messageFaults = script;
        await meetsFault(run);
        await run.clock.advance(BACKOFF_MILLIS);
        await until(() => run.isSettled);
        expect(run.receivers.map(({ messageCount }) => messageCount)).toEqual([1, 1]);
      },
      warns: [RESET],
      duplicates: { exactly: 1, because: HAD_IT },
    },
    {
      name: 'is reset behind half an ack',
      receivers: [{ messageFaults: [{ kind: 'truncate' }] }],
      happens: async (run) => {
        await meetsSilence(run);
        await until(() => (run.sockets.open[0]?.bytesRead ?? 0) > 0);
        run.receiver.resetConnections();
        await run.warned();
      },
      settlesAfter: BACKOFF_MILLIS,
      warns: [RESET],
      duplicates: { exactly: 1, because: HAD_IT },
    },
    {
      name: 'gets a FIN before the ack',
      receivers: [{ messageFaults: [{ kind: 'close', when: 'before ack' }] }],
      settlesAfter: BACKOFF_MILLIS,
      warns: [CLOSED],
      duplicates: { exactly: 1, because: HAD_IT },
    },
    {
      name: 'gets a FIN between acks',
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
      name: 'gets a FIN behind the last ack',
      receivers: [{ messageFaults: [undefined, undefined, { kind: 'close', when: 'after ack' }] }],
      happens: async (run) => {
        await run.prove();
        run.send(2);
        await until(() => run.sockets.open.length === 0);
        run.send();
      },
    },
    {
      name: 'falls into a black hole',
      receivers: [],
      options: async (run) => ({ endpoint: `tcp://127.0.0.1:${run.use(await BlackHole.open()).port}` }),
      happens: (run) => void run.send(),
      settlesAfter: 25_000,
      results: ['FLUENT_FORWARD_TIMEOUT'],
      cause: 'FLUENT_FORWARD_CONNECT_TIMEOUT',
      warns: [/the connect took longer than 5000 ms/],
      isFinal: true,
    },
    {
      name: 'falls into a black hole at one of two addresses',
      options: async (run) => {
        const ports = [run.use(await BlackHole.open()).port, run.receiver.port];
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
      name: 'leads to a receiver that takes the chunk and never answers',
      receivers: [{ messageFaults: [{ kind: 'withhold' }] }],
      happens: meetsSilence,
      settlesAfter: 5_000 + BACKOFF_MILLIS,
      warns: [/no ack within 5000 ms/],
      duplicates: { exactly: 1, because: HAD_IT },
    },
    {
      name: 'leads to a receiver that stops reading in the middle of a small chunk',
      receivers: [{ connectionFaults: [{ kind: 'stop reading', afterBytes: 10 }] }],
      happens: async (run) => {
        run.send();
        await until(() => run.openConnections === 1);
        await settle();
      },
      settlesAfter: 5_000 + BACKOFF_MILLIS,
      warns: [/no ack within 5000 ms/],
    },
    {
      name: 'leads to a receiver that stops reading in the middle of a large chunk',
      receivers: [{ connectionFaults: [{ kind: 'stop reading', afterBytes: 10 }] }],
      // This limit is Node's own: it watches the bytes of a write leave.
      options: () => ({ ackTimeoutMillis: 200, maxChunkBytes: 6_000_000, maxStringBytes: 6_000_000 }),
      happens: async (run) => {
        run.send(1, { bytes: 5_900_000 });
        await run.warned();
      },
      settlesAfter: BACKOFF_MILLIS,
      warns: [/the server has read nothing for 200 ms/],
      keeps: 1,
      grows: 96,
    },
    {
      name: 'leads to a receiver that is paused, then resumed',
      receivers: [],
      options: async (run) => {
        paused = run.use(await ChildReceiver.start());
        return { endpoint: paused.endpoint };
      },
      happens: async (run) => {
        await run.prove();
        paused.pause();
        run.send();
        await settle();
        await run.clock.advance(5_000 + BACKOFF_MILLIS);
        // The kernel accepts, and the chunk is sent once more.
        await until(() => run.sockets.open.length === 2 && run.sockets.open.every(({ connecting }) => !connecting));
        paused.resume();
        await until(() => run.messages.length === 3);
      },
      warns: [/no ack within 5000 ms/],
      duplicates: { exactly: 1, because: 'the kernel took it twice for a receiver that had stopped' },
    },
  ]);
});
