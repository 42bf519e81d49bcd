import { encode } from '@msgpack/msgpack';
import { describe, expect, it } from 'vitest';
import type { MessageFault, ReceivedMessage } from '../../src/testing/index.ts';
import { exporterFixture } from '../support/exporter-fixture.ts';
import { settle, until } from '../support/fake-clock.ts';

const { listen, start, warnings } = exporterFixture();

/** 30 bytes, as the ack of a chunk of this package is. */
const STALE = encode({ ack: 'nobody sent this chunk..' });

/** The ack, with other bytes around it. */
function acked(before: Uint8Array, after: Uint8Array): (message: ReceivedMessage) => MessageFault {
  return ({ chunk }) => ({ kind: 'garbage', bytes: Buffer.concat([before, encode({ ack: chunk }), after]) });
}

function many(bytes: Uint8Array, count: number): Buffer {
  return Buffer.concat(Array(count).fill(bytes));
}

const NOTHING = new Uint8Array(0);

describe('unexpected acks', () => {
  it('the exporter closes a connection that sends more stale acks than chunks can be in flight', async () => {
    const receiver = await listen({ messageFaults: [{ kind: 'garbage', bytes: many(STALE, 2_200) }] });
    const { clock, send } = start({ endpoint: receiver.endpoint });
    const result = send('a');
    await until(() => warnings().length > 0);
    expect(warnings()[0]).toMatch(/the server has sent \d+ bytes that acknowledge nothing; 1 unacknowledged record/);
    await clock.advance(100);
    expect((await result).code).toBe(0);
    expect(receiver.messages.map(({ connection }) => connection)).toEqual([0, 1]);
  });

  it('the exporter closes an idle connection that sends too many stale acks', async () => {
    const receiver = await listen({ messageFaults: acked(NOTHING, many(STALE, 4_400)) });
    const { send } = start({ endpoint: receiver.endpoint });
    expect((await send('a')).code).toBe(0);
    await until(() => receiver.openConnections === 0);
    expect(warnings()[0]).toMatch(/bytes that acknowledge nothing; another connection is opened/);
  });

  it('the exporter accepts as many stale acks as chunks can be in flight, again after each ack', async () => {
    expect(STALE).toHaveLength(30);
    const receiver = await listen({ messageFaults: acked(many(STALE, 1_024), many(STALE, 1_024)) });
    const { send } = start({ endpoint: receiver.endpoint });
    for (let i = 0; i < 10; i++) expect((await send(i)).code).toBe(0);
    await settle();
    expect(receiver.connectionCount).toBe(1);
    expect(warnings()).toEqual([]);
  });

  it('the exporter closes a connection that sends too many refusals without a chunk in flight', async () => {
    const receiver = await listen({ messageFaults: acked(NOTHING, Buffer.alloc(140_000, 0x80)) });
    const { send } = start({ endpoint: receiver.endpoint });
    expect((await send('a')).code).toBe(0);
    await until(() => receiver.openConnections === 0);
    expect(warnings()[0]).toMatch(/bytes that acknowledge nothing/);
  });
});

describe('incomplete answers', () => {
  it('the exporter closes a connection whose answer is incomplete after ackTimeoutMillis', async () => {
    const receiver = await listen({ messageFaults: acked(NOTHING, STALE.subarray(0, 7)) });
    const { clock, send } = start({ endpoint: receiver.endpoint });
    expect((await send('a')).code).toBe(0);
    await settle();
    await clock.advance(4_999);
    expect(receiver.openConnections).toBe(1);
    await clock.advance(1);
    await until(() => receiver.openConnections === 0);
    expect(warnings()).toEqual([expect.stringMatching(/an answer of the server is incomplete after 5000 ms; another/)]);
  });

  it('the exporter reports the late ack if an incomplete answer expires at the same time', async () => {
    const faults: (MessageFault | undefined)[] = [undefined];
    const receiver = await listen({
      messageFaults: (message) => (faults.length > 0 ? faults.pop() : acked(NOTHING, STALE.subarray(0, 7))(message)),
    });
    const { clock, send } = start({ endpoint: receiver.endpoint, rotationIntervalMillis: 0 });
    expect((await send('a')).code).toBe(0);
    await clock.advance(3_000);
    // The time for the answer's end runs from here, that for the next ack too.
    expect((await send('b')).code).toBe(0);
    await settle();
    faults.push({ kind: 'withhold' });
    const result = send('c');
    await until(() => receiver.messages.length === 3);
    await clock.advance(5_000);
    expect(warnings()[0]).toMatch(/no ack within 5000 ms; /);
    await clock.advance(100);
    expect((await result).code).toBe(0);
  });

  it('the exporter reports the late ack if an incomplete answer expires when timers fire early', async () => {
    const receiver = await listen({ messageFaults: [{ kind: 'garbage', bytes: STALE.subarray(0, 7) }] });
    const { clock, send } = start({ endpoint: receiver.endpoint });
    const result = send('a');
    await until(() => receiver.messages.length === 1);
    await settle();
    // As timers of Node.js do: when they fire, a little less time has passed than they were set to.
    const now = clock.now.bind(clock);
    clock.now = () => now() - 0.5;
    await clock.advance(5_000);
    expect(warnings()[0]).toMatch(/no ack within 5000 ms; /);
    await clock.advance(100);
    expect((await result).code).toBe(0);
  });

  it('the exporter keeps a connection whose answers arrive in pieces', async () => {
    let next: Buffer = Buffer.alloc(0);
    // Each answer ends with the beginning of the next.
    const receiver = await listen({
      messageFaults: ({ chunk }) => {
        const bytes = Buffer.concat([next, encode({ ack: chunk }), STALE.subarray(0, 7)]);
        next = Buffer.from(STALE.subarray(7));
        return { kind: 'garbage', bytes };
      },
    });
    const { clock, send } = start({ endpoint: receiver.endpoint, rotationIntervalMillis: 0 });
    for (let i = 0; i < 5; i++) {
      expect((await send(i)).code).toBe(0);
      await settle();
      await clock.advance(3_000);
    }
    expect(receiver.connectionCount).toBe(1);
    expect(warnings()).toEqual([]);
  });

  it('an incomplete answer expires although single bytes keep arriving', async () => {
    // The head of a string of 60,000 bytes. Each later message is answered with one byte of it.
    const receiver = await listen({ messageFaults: acked(NOTHING, Buffer.from('daea60', 'hex')) });
    const { clock, send } = start({ endpoint: receiver.endpoint, rotationIntervalMillis: 0 });
    expect((await send('a')).code).toBe(0);
    await settle();
    receiver.messageFaults = () => ({ kind: 'garbage', bytes: Buffer.of(0x61) });
    for (let i = 0; i < 3; i++) {
      await clock.advance(1_500);
      void send('b');
      await until(() => receiver.messageCount === i + 2);
      await settle();
    }
    expect(receiver.connectionCount).toBe(1);
    await clock.advance(500);
    await until(() => warnings().length > 0);
    await until(() => receiver.connectionCount === 2 || receiver.openConnections === 0);
  });
});
