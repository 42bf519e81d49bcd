import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Connection } from '../../src/connection/connection.ts';
import type { PoolObserver } from '../../src/connection/pool.ts';
import type { ChunkInTransit } from '../../src/delivery/chunk-in-transit.ts';
import { Sender, type SenderPool } from '../../src/delivery/sender.ts';
import type { Chunk } from '../../src/encode/chunk.ts';
import { FluentForwardConnectionError } from '../../src/errors.ts';
import { Counters } from '../../src/stats.ts';
import { Telemetry } from '../../src/telemetry/telemetry.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { batchEncoder, NOW, record } from '../support/records.ts';

type Sent = Pick<ChunkInTransit, 'chunk'>;

/** What the sender sees of a connection. */
class FakeConnection {
  state: Connection['state'] = 'open';
  readonly address = {};
  readonly info = {};
  /** How many chunks it takes more. */
  room: number;
  readonly chunks: Chunk[] = [];
  /** Called for each chunk that the sender settles. */
  onForget: (chunk: Chunk) => void = () => {};

  constructor(room: number) {
    this.room = room;
  }

  forget(chunk: Chunk): void {
    this.onForget(chunk);
  }
}

/** A pool whose connections and events come from the test. */
class FakePool implements SenderPool {
  observer!: PoolObserver;
  isBackingOff = false;
  wakeUps = 0;
  recoveries = 0;
  connections: FakeConnection[] = [];
  /** Called when the sender asks for connections. */
  onConnect = () => {};
  /** Called when the sender hands a chunk over. */
  onSend = (_: Chunk) => {};

  observe(observer: PoolObserver): void {
    this.observer = observer;
  }

  connect(): void {
    this.onConnect();
  }

  pick(): Connection | undefined {
    return asConnection(this.connections.find(({ room, state }) => room > 0 && state === 'open'));
  }

  send(connection: Connection, chunk: Chunk): void {
    const fake = connection as unknown as FakeConnection;
    fake.room--;
    fake.chunks.push(chunk);
    this.onSend(chunk);
  }

  wakeAfterBackoff(): void {
    this.wakeUps++;
  }

  retryNow(): void {
    this.isBackingOff = false;
    this.observer.onCapacity();
  }

  reportRecovery(): void {
    this.recoveries++;
  }

  close(): void {}

  open(room: number): FakeConnection {
    const connection = new FakeConnection(room);
    this.connections.push(connection);
    return connection;
  }

  acknowledge(connection: FakeConnection, { chunk }: Sent): void {
    this.observer.acknowledged(asConnection(connection), chunk, 1);
  }

  /** The connection gives a chunk back. `isSuspect`: the chunk may be the reason. */
  giveBack(connection: FakeConnection, { chunk }: Sent, isSuspect = false): void {
    const error = new FluentForwardConnectionError('FLUENT_FORWARD_CONNECTION_LOST', 'lost');
    this.observer.unacknowledged(asConnection(connection), chunk, error, isSuspect);
  }

  /** The connection is lost with the chunk. */
  lose(connection: FakeConnection, sent: Sent): void {
    connection.state = 'closed';
    this.giveBack(connection, sent);
  }
}

function asConnection(fake: FakeConnection): Connection;
function asConnection(fake: FakeConnection | undefined): Connection | undefined;
function asConnection(fake: FakeConnection | undefined): Connection | undefined {
  return fake as unknown as Connection | undefined;
}

/** A sender with a pool of the test. `log` says what has happened to which chunk, by the texts in the chunks. */
function senderFixture({ refused = (_: Chunk) => {} } = {}) {
  const pool = new FakePool();
  const clock = new FakeClock();
  const log: string[] = [];
  const textOf = new Map<string, string>();
  const logged = (event: string) => (chunk: Chunk) => void log.push(`${event} ${textOf.get(chunk.id)}`);
  const counters = new Counters();
  const sender = new Sender({
    pool,
    clock,
    random: () => 0,
    counters,
    telemetry: new Telemetry('test'),
  });
  pool.onSend = logged('sent');
  const send = (text: string) => {
    const [chunk] = batchEncoder().encode([record({ body: text })], NOW).chunks as [Chunk];
    textOf.set(chunk.id, text);
    return sender.send(chunk, { acknowledged: () => logged('acknowledged')(chunk), refused });
  };
  return { pool, clock, sender, counters, log, logged, send };
}

/** Calls `listener` for each message of a diagnostics channel until the test ends. */
function onChannel(name: string, listener: () => void): void {
  subscribe(name, listener);
  onTestFinished(() => void unsubscribe(name, listener));
}

/** The longest wait of a postponed chunk. */
const POSTPONEMENT_MILLIS = 5_000;

describe('the order of chunks', () => {
  it('chunks are sent in the order of their arrival as connections have room', () => {
    const { pool, log, send } = senderFixture();
    send('a');
    const b = send('b');
    send('c');
    expect(log).toEqual([]);
    const connection = pool.open(2);
    pool.observer.onCapacity();
    expect(log).toEqual(['sent a', 'sent b']);
    connection.room = 1;
    pool.acknowledge(connection, b);
    expect(log.slice(2)).toEqual(['acknowledged b', 'sent c']);
  });

  it('a chunk that was lost with its connection goes before the others, once the backoff is over', () => {
    const { pool, log, send } = senderFixture();
    const first = pool.open(1);
    const a = send('a');
    send('b');
    pool.isBackingOff = true;
    pool.lose(first, a);
    expect([a.state, pool.wakeUps]).toEqual([{ name: 'retry' }, 1]);
    const second = pool.open(1);
    pool.observer.onCapacity();
    send('c');
    pool.isBackingOff = false;
    second.room = 2;
    pool.observer.onCapacity();
    expect(log).toEqual(['sent a', 'sent b', 'sent a', 'sent c']);
  });

  it('a chunk that may be refused waits on its own and then goes behind the others', async () => {
    const { clock, pool, log, send } = senderFixture();
    const connection = pool.open(1);
    const a = send('a');
    send('b');
    pool.giveBack(connection, a, true);
    expect(a.state.name).toBe('postponed');
    connection.room = 2;
    pool.observer.onCapacity();
    connection.room = 0;
    send('c');
    await clock.advance(100);
    expect([a.state.name, clock.timers]).toEqual(['queued', 0]);
    connection.room = 9;
    pool.observer.onCapacity();
    expect(log).toEqual(['sent a', 'sent b', 'sent c', 'sent a']);
  });

  it('hurry sends the chunks that wait for the backoff before the postponed ones', () => {
    const { clock, pool, sender, log, send } = senderFixture();
    const connection = pool.open(2);
    const [suspect, lost] = [send('suspect'), send('lost')];
    pool.isBackingOff = true;
    pool.giveBack(connection, suspect, true);
    pool.lose(connection, lost);
    pool.open(9);
    sender.hurry();
    expect(log.slice(2)).toEqual(['sent lost', 'sent suspect']);
    expect(clock.timers).toBe(0);
  });
});

describe('the end of a chunk', () => {
  it('a chunk that is given up is sent no more and its late ack is ignored', async () => {
    const { clock, pool, sender, counters, log, send } = senderFixture();
    const connection = pool.open(2);
    const [sent, postponed] = [send('sent'), send('postponed')];
    pool.giveBack(connection, postponed, true);
    const queued = send('queued');
    for (const transit of [sent, postponed, queued]) sender.giveUp(transit);
    expect([sent, postponed, queued].map(({ state }) => state.name)).toEqual(['settled', 'settled', 'settled']);
    expect([sender.waitingRecords, clock.timers]).toEqual([0, 0]);
    pool.acknowledge(connection, sent);
    connection.room = 9;
    await clock.advance(POSTPONEMENT_MILLIS);
    pool.observer.onCapacity();
    expect(log).toEqual(['sent sent', 'sent postponed']);
    expect(counters.acknowledged.records).toBe(0);
  });

  it('a chunk that two connections acknowledge is acknowledged once and no connection has it any more', () => {
    const { pool, counters, log, logged, send } = senderFixture();
    const [slow, fast] = [pool.open(1), pool.open(1)];
    for (const connection of [slow, fast]) connection.onForget = logged('forgotten');
    const a = send('a');
    pool.giveBack(slow, a);
    pool.acknowledge(slow, a);
    pool.acknowledge(fast, a);
    expect(log).toEqual(['sent a', 'sent a', 'acknowledged a', 'forgotten a', 'forgotten a']);
    expect([counters.sent.records, counters.resent.records, counters.acknowledged.records]).toEqual([1, 1, 1]);
  });

  it('the pool reports a recovery only when no lost chunk waits', () => {
    const { pool, send } = senderFixture();
    const [lossy, working] = [pool.open(1), pool.open(1)];
    const [a, b] = [send('a'), send('b')];
    const c = send('c');
    pool.isBackingOff = true;
    pool.lose(lossy, a);
    pool.acknowledge(working, b);
    expect(pool.recoveries).toBe(0);
    pool.isBackingOff = false;
    working.room = 2;
    pool.observer.onCapacity();
    pool.acknowledge(working, c);
    expect(pool.recoveries).toBe(1);
  });
});

describe('events within events', () => {
  it('the sender hands chunks over only after an ack is complete whose settling closes another connection', () => {
    const { pool, log, send } = senderFixture();
    const [slow, other] = [pool.open(1), pool.open(0)];
    const a = send('a');
    other.room = 2;
    pool.giveBack(slow, a);
    const b = send('b');
    send('c');
    // The second connection has no other use, closes, and loses another chunk.
    other.onForget = () => {
      log.push('closing');
      slow.room = 2;
      pool.lose(other, b);
      pool.observer.onCapacity();
    };
    pool.acknowledge(slow, a);
    expect(log).toEqual(['sent a', 'sent a', 'sent b', 'acknowledged a', 'closing', 'sent b', 'sent c']);
  });

  it('capacity that is reported while a chunk is handed over neither nests nor changes the order', () => {
    const { pool, log, send } = senderFixture();
    let depth = 0;
    let deepest = 0;
    const connection = pool.open(0);
    const { onSend } = pool;
    pool.onSend = (chunk) => {
      deepest = Math.max(deepest, ++depth);
      connection.room++;
      onSend(chunk);
      pool.observer.onCapacity();
      depth--;
    };
    for (const text of ['a', 'b', 'c', 'd']) send(text);
    connection.room = 1;
    pool.observer.onCapacity();
    expect(log).toEqual(['sent a', 'sent b', 'sent c', 'sent d']);
    expect(deepest).toBe(1);
  });

  it('capacity that is reported while connections are opened is used at once', () => {
    const { pool, log, send } = senderFixture();
    pool.onConnect = () => {
      if (pool.connections.length > 0) return;
      pool.open(1);
      pool.observer.onCapacity();
      log.push('opened');
    };
    send('a');
    expect(log).toEqual(['opened', 'sent a']);
  });

  it('a chunk whose connection is lost while it is handed over waits for the end of the backoff', () => {
    const { pool, log, send } = senderFixture();
    const connection = pool.open(1);
    const { onSend } = pool;
    pool.onSend = (chunk) => {
      onSend(chunk);
      pool.isBackingOff = true;
      pool.lose(connection, { chunk });
    };
    expect(send('a').state.name).toBe('retry');
    expect([pool.wakeUps, log]).toEqual([1, ['sent a']]);
  });

  it('a chunk that a subscriber of a channel sends goes behind the others, before the outer call returns', () => {
    const { pool, log, send } = senderFixture();
    const connection = pool.open(0);
    let more = 2;
    onChannel('fluent-forward:chunk:sent', () => {
      log.push('published');
      if (more-- > 0) send(`more ${more}`);
    });
    send('a');
    send('b');
    connection.room = 9;
    pool.observer.onCapacity();
    expect(log).toEqual([
      'sent a',
      'published',
      'sent b',
      'published',
      'sent more 1',
      'published',
      'sent more 0',
      'published',
    ]);
  });

  it('a chunk that a subscriber sends when a chunk is acknowledged leaves when the ack is complete', () => {
    const { pool, log, send } = senderFixture();
    const connection = pool.open(9);
    onChannel('fluent-forward:chunk:acknowledged', () => send('next'));
    const a = send('a');
    pool.acknowledge(connection, a);
    expect(log).toEqual(['sent a', 'acknowledged a', 'sent next']);
  });

  it('no connection takes a chunk that is given up together with the chunk before it', () => {
    const { pool, sender, log, send } = senderFixture();
    const connection = pool.open(1);
    const transits = ['a', 'b', 'c'].map(send);
    // The first one leaves its place to the next.
    connection.onForget = () => {
      connection.room++;
      pool.observer.onCapacity();
    };
    sender.change(() => {
      for (const transit of transits.slice(0, 2)) sender.giveUp(transit);
    });
    expect(log).toEqual(['sent a', 'sent c']);
  });

  it('the owner of a refused chunk is informed once, and may send a chunk', async () => {
    const reports: Chunk[] = [];
    const fixture = senderFixture({
      refused: (chunk) => {
        reports.push(chunk);
        fixture.send('from the owner');
      },
    });
    const { clock, pool, log, send } = fixture;
    const connection = pool.open(9);
    const refused = send('refused');
    for (let tries = 1; tries <= 5; tries++) {
      const other = send('other');
      pool.giveBack(connection, refused, true);
      pool.acknowledge(connection, other);
      connection.room = 9;
      await clock.advance(POSTPONEMENT_MILLIS);
    }
    expect(reports).toEqual([refused.chunk]);
    expect(log.slice(-2)).toEqual(['sent refused', 'sent from the owner']);
  });

  it('a fault in the middle of a change does not keep later chunks from being sent', () => {
    const { pool, log, send } = senderFixture();
    pool.open(9);
    pool.onConnect = () => {
      pool.onConnect = () => {};
      throw new Error('from within');
    };
    expect(() => send('a')).toThrow('from within');
    send('b');
    expect(log).toEqual(['sent a', 'sent b']);
  });
});
