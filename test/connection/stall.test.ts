import { mkdtempSync } from 'node:fs';
import { createServer, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encode } from '@msgpack/msgpack';
import { afterEach, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import type { ForwardReceiverOptions } from '../../src/testing/index.ts';
import { Authority, type Pair } from '../support/certificates.ts';
import { disconnected, exporterFixture } from '../support/exporter-fixture.ts';
import { settle, until } from '../support/fake-clock.ts';
import { HeldAck } from '../support/held-ack.ts';
import { untilStuck } from '../support/stuck-sockets.ts';

const { listen, start, warnings } = exporterFixture();

let authority: Authority;
let server: Pair;
/** The sockets that the exporter has dialled, also those in TLS. */
let dialled: Socket[];

beforeAll(async () => {
  authority = await Authority.create();
  server = await authority.issue();
});
beforeEach(() => {
  const dial = vi.spyOn(Socket.prototype, 'connect');
  dialled = dial.mock.contexts as Socket[];
});
afterEach(() => void vi.restoreAllMocks());

/** A body that makes a chunk of almost a megabyte. */
const LARGE = Array.from({ length: 4 }, () => 'z'.repeat(240_000));
/** What fills the buffers of the kernel, whatever they are, with something left. */
const LARGE_CHUNKS = 12;
const LARGE_BYTES = LARGE_CHUNKS * 960_000;
/** Neither a deadline nor a rotation comes in between. */
const LIMITS = { timeoutMillis: 3_600_000, rotationIntervalMillis: 0, maxInFlightChunks: 32, ackTimeoutMillis: 5_000 };

/** The warnings about connections. One about the long deadline comes before them. */
const faults = () => warnings().filter((text) => !text.includes('timeoutMillis (3600000)'));

/** Waits until the kernel takes no more bytes of a socket. */
const stuck = () => untilStuck(() => dialled);

function freshPath(): string {
  return join(mkdtempSync(join(tmpdir(), 'forward-')), 'forward.sock');
}

interface Transport {
  readonly receiver: () => ForwardReceiverOptions;
  readonly options?: () => object;
}

const TRANSPORTS: Readonly<Record<string, Transport>> = {
  TCP: { receiver: () => ({}) },
  TLS: { receiver: () => ({ tls: server }), options: () => ({ tls: { ca: authority.cert } }) },
  Unix: { receiver: () => ({ path: freshPath() }) },
};

describe('a receiver that stops reading', () => {
  for (const [name, { receiver: receiverOptions, options }] of Object.entries(TRANSPORTS)) {
    it(`a ${name} connection is replaced each time that its receiver stops reading, also after idle periods`, async () => {
      const receiver = await listen({
        ...receiverOptions(),
        // The first connection stops in the first large chunk, the second one in those that follow on it.
        connectionFaults: [
          { kind: 'stop reading', afterBytes: 10_000 },
          { kind: 'stop reading', afterBytes: LARGE_BYTES + 100_000 },
        ],
      });
      const { clock, send } = start({ endpoint: receiver.endpoint, ...options?.(), ...LIMITS });
      await send('proof');
      for (const stall of [1, 2]) {
        await clock.advance(2 * LIMITS.ackTimeoutMillis);
        const results = Array.from({ length: LARGE_CHUNKS }, () => send(LARGE));
        await stuck();
        await clock.advance(LIMITS.ackTimeoutMillis);
        await until(() => receiver.connectionCount === stall + 1);
        for (const result of results) expect((await result).code).toBe(0);
        expect(receiver.connectionCount).toBe(stall + 1);
      }
      expect(faults()[0]).toMatch(/: the server has read nothing for 5000 ms; \d+ unacknowledged record/);
      expect((await send('afterwards')).code).toBe(0);
      expect(receiver.connectionCount).toBe(3);
    });
  }

  it('bytes that a stalled socket holds count as in flight until the socket gives them back', async () => {
    const receiver = await listen({ connectionFaults: [{ kind: 'stop reading', afterBytes: 10_000 }] });
    const made = start({ endpoint: receiver.endpoint, ...LIMITS, timeoutMillis: 1_000 });
    const { clock, exporter, send } = made;
    await send('proof');
    const results = Array.from({ length: LARGE_CHUNKS }, () => send(LARGE));
    await stuck();
    await clock.advance(1_000);
    for (const result of results) expect((await result).error?.code).toBe('FLUENT_FORWARD_TIMEOUT');
    // The last write holds the end of one chunk and the beginning of the next, or a part of one. The connection has let
    // go of those that it had not begun.
    expect([2 ** 20, 2 ** 21]).toContain(exporter.stats().inFlightBytes);
    await clock.advance(4_000);
    await disconnected(made);
    await until(() => exporter.stats().inFlightBytes === 0);
    expect(warnings().at(-1)).toContain('the server has read nothing for 5000 ms');
  });

  it('an export that a stall ends is not reported as refused', async () => {
    const receiver = await listen({ connectionFaults: () => ({ kind: 'stop reading', afterBytes: 10_000 }) });
    const { clock, send } = start({ endpoint: receiver.endpoint, ...LIMITS, timeoutMillis: 8_000 });
    await send('proof');
    const results = Array.from({ length: LARGE_CHUNKS }, () => send(LARGE));
    await stuck();
    await clock.advance(5_000);
    await settle();
    await clock.advance(3_000);
    for (const result of results) {
      expect((await result).error).toMatchObject({
        code: 'FLUENT_FORWARD_TIMEOUT',
        cause: { message: expect.stringContaining('the server has read nothing for 5000 ms') },
      });
    }
  });
});

describe('a slow receiver', () => {
  it('a receiver that acknowledges steadily, but later than ackTimeoutMillis after the write, gets no chunk twice', async () => {
    const acks = Array.from({ length: 8 }, () => new HeldAck());
    const receiver = await listen();
    const { clock, send } = start({ endpoint: receiver.endpoint, ...LIMITS, ackTimeoutMillis: 2_000 });
    await send('proof');
    receiver.messageFaults = acks.map(({ fault }) => fault);
    const results = acks.map((_, n) => send(n));
    await until(() => receiver.messageCount === 9);
    await settle();
    for (const [n, ack] of acks.entries()) {
      await clock.advance(1_900);
      ack.release();
      expect((await results[n])?.code).toBe(0);
    }
    expect([receiver.messageCount, receiver.connectionCount]).toEqual([9, 1]);
    expect(faults()).toEqual([]);
  });

  it('a large chunk keeps its connection while the receiver reads some of it within each ackTimeoutMillis', async () => {
    const accepted: Socket[] = [];
    const slow = createServer((socket) => accepted.push(socket));
    // The kernel buffers less of a Unix socket than of TCP.
    const path = freshPath();
    await new Promise<void>((done) => slow.listen(path, done));
    onTestFinished(() => void slow.close());
    const { clock, send } = start({
      endpoint: `unix://${path}`,
      ...LIMITS,
      maxChunkBytes: 6_000_000,
      maxStringBytes: 6_000_000,
    });
    // More than the buffers of the kernel take.
    const result = send('x'.repeat(5_900_000));
    await stuck();
    const [socket] = accepted as [Socket];
    const [client] = dialled as [Socket];
    const received: Buffer[] = [];
    let bytes = 0;
    /** Takes what Node.js has read, at most 64 KiB or so, and lets it read more. */
    const take = () => {
      const data: Buffer | null = socket.read();
      if (data === null) return;
      received.push(data);
      bytes += data.length;
    };
    for (let round = 0; round < 4; round++) {
      await clock.advance(3_000);
      const before = client.bytesWritten;
      // Until the kernel has room for more of the chunk.
      await until(() => {
        take();
        return client.bytesWritten > before;
      });
      await stuck();
    }
    expect(faults()).toEqual([]);
    await until(() => {
      take();
      return bytes > 5_900_000;
    });
    await settle();
    take();
    const message = Buffer.concat(received);
    const id = /chunk\xb8(.{24})/s.exec(message.subarray(-80).toString('latin1'))?.[1];
    socket.write(encode({ ack: id }));
    expect((await result).code).toBe(0);
    expect(accepted).toHaveLength(1);
  });
});
