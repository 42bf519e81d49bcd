import { describe, expect, it } from 'vitest';
import { Connection } from '../../src/connection/connection.ts';
import type { ConnectionEvent } from '../../src/connection/connection-event.ts';
import type { OpenSocket } from '../../src/connection/dial.ts';
import { lostAt, refusedAfterTls, type Stage, tooLate } from '../../src/connection/failure.ts';
import { FAULTS } from '../../src/connection/faults.ts';
import type { Chunk } from '../../src/encode/chunk.ts';
import type { ForwardReceiver, ForwardReceiverOptions } from '../../src/testing/index.ts';
import { dialled, listen } from '../support/dialled.ts';
import { FakeClock, settle, until } from '../support/fake-clock.ts';
import { batchEncoder, NOW, record } from '../support/records.ts';

const ACK_TIMEOUT_MILLIS = 5_000;

function chunk(): Chunk {
  return batchEncoder().encode([record()], NOW).chunks[0] as Chunk;
}

interface Opened {
  readonly clock: FakeClock;
  readonly receiver: ForwardReceiver;
  readonly connection: Connection;
  readonly events: readonly ConnectionEvent[];
}

/** A connection to a receiver, without a pool. */
async function open(options: ForwardReceiverOptions): Promise<Opened> {
  const clock = new FakeClock();
  const receiver = await listen(options);
  const { opened } = dialled({ endpoint: receiver.endpoint }, clock);
  await until(() => opened.length === 1 && receiver.openConnections === 1);
  const events: ConnectionEvent[] = [];
  const connection = new Connection({
    id: 0,
    dialledAt: 0,
    opened: opened[0] as OpenSocket,
    ackTimeoutMillis: ACK_TIMEOUT_MILLIS,
    maxInFlightChunks: 3,
    clock,
    onEvent: (event) => events.push(event),
  });
  connection.start();
  return { clock, receiver, connection, events };
}

/** Waits for the event, and returns what it says. `suspects`: for each chunk that is given back, if it is suspect. */
async function faultOf({ events }: Opened, kind: 'failed' | 'closed') {
  await until(() => events.some((event) => event.kind === kind));
  const event = events.find((each) => each.kind === kind);
  if (event === undefined || event.kind === 'acknowledged') throw new Error('there is no such event');
  return {
    code: event.error.code,
    ...(event.kind === 'closed' && { isFault: event.isFault }),
    suspects: event.unacknowledged.map(({ isSuspect }) => isSuspect),
  };
}

describe('what follows from a fault', () => {
  it('a reset connection is a fault, and its oldest chunk is suspect', async () => {
    const opened = await open({ messageFaults: [{ kind: 'reset', when: 'before ack' }] });
    opened.connection.send(chunk());
    expect(await faultOf(opened, 'closed')).toEqual({
      code: 'FLUENT_FORWARD_CONNECTION_LOST',
      isFault: true,
      suspects: [true],
    });
  });

  it('a reset connection is no fault if no chunk is unacknowledged', async () => {
    const opened = await open({});
    opened.receiver.resetConnections();
    expect(await faultOf(opened, 'closed')).toEqual({
      code: 'FLUENT_FORWARD_CONNECTION_LOST',
      isFault: false,
      suspects: [],
    });
  });

  it('only the oldest of the chunks on a reset connection is suspect', async () => {
    const opened = await open({ messageFaults: [undefined, { kind: 'withhold' }, { kind: 'withhold' }] });
    opened.connection.send(chunk());
    await until(() => opened.connection.isProven);
    opened.connection.send(chunk());
    opened.connection.send(chunk());
    await until(() => opened.receiver.messageCount === 3);
    opened.receiver.resetConnections();
    expect(await faultOf(opened, 'closed')).toEqual({
      code: 'FLUENT_FORWARD_CONNECTION_LOST',
      isFault: true,
      suspects: [true, false],
    });
  });

  it('a bad answer is a fault, and no chunk is suspect', async () => {
    const opened = await open({ messageFaults: [{ kind: 'garbage' }] });
    opened.connection.send(chunk());
    expect(await faultOf(opened, 'closed')).toEqual({
      code: 'FLUENT_FORWARD_BAD_ANSWER',
      isFault: true,
      suspects: [false],
    });
  });

  it('a bad answer is a fault even if no chunk is unacknowledged', async () => {
    // The bytes of the read with the first ack do not count: 64 KiB at most.
    const opened = await open({ messageFaults: [{ kind: 'repeat', times: 6_000 }] });
    opened.connection.send(chunk());
    expect(await faultOf(opened, 'closed')).toEqual({
      code: 'FLUENT_FORWARD_BAD_ANSWER',
      isFault: true,
      suspects: [],
    });
  });

  it('a chunk that is not accepted is suspect', async () => {
    const opened = await open({ messageFaults: [{ kind: 'refuse' }] });
    opened.connection.send(chunk());
    expect(await faultOf(opened, 'failed')).toEqual({ code: 'FLUENT_FORWARD_NOT_ACCEPTED', suspects: [true] });
  });

  it('a chunk without an ack in time is suspect', async () => {
    const opened = await open({ messageFaults: [{ kind: 'withhold' }] });
    opened.connection.send(chunk());
    await until(() => opened.receiver.messageCount === 1);
    await settle();
    await opened.clock.advance(ACK_TIMEOUT_MILLIS);
    expect(await faultOf(opened, 'failed')).toEqual({ code: 'FLUENT_FORWARD_ACK_TIMEOUT', suspects: [true] });
  });

  it('a chunk whose ack was skipped is suspect', async () => {
    const opened = await open({ messageFaults: [undefined, { kind: 'withhold' }] });
    opened.connection.send(chunk());
    await until(() => opened.connection.isProven);
    opened.connection.send(chunk());
    opened.connection.send(chunk());
    expect(await faultOf(opened, 'failed')).toEqual({ code: 'FLUENT_FORWARD_ACK_SKIPPED', suspects: [true] });
  });

  it('a connection that the exporter closes has no fault, and no chunk is suspect', async () => {
    const opened = await open({ messageFaults: [{ kind: 'withhold' }] });
    opened.connection.send(chunk());
    await until(() => opened.receiver.messageCount === 1);
    opened.connection.close();
    expect(await faultOf(opened, 'closed')).toEqual({
      code: 'FLUENT_FORWARD_CLOSED',
      isFault: false,
      suspects: [false],
    });
  });

  it.each(['lookup', 'credentials', 'connect', 'TLS', 'HELO', 'PONG'] satisfies Stage[])(
    'a dial that fails at %s, late or with its socket, has a code of a failed dial',
    (stage) => {
      const target = { host: '127.0.0.1', port: 24_224 };
      const ends = { target, certificates: undefined };
      const errors = [undefined, Object.assign(new Error('reset'), { code: 'ECONNRESET' })];
      const failures = [
        tooLate(stage, 1, target, []),
        ...errors.flatMap((error) => [lostAt(stage, error, ends, false), lostAt(stage, error, ends, true)]),
        ...errors.map((error) => refusedAfterTls(error, ends)),
      ];
      for (const { code } of failures) expect(FAULTS[code]).toMatchObject({ isFault: 'always', isDialFailure: true });
    },
  );
});
