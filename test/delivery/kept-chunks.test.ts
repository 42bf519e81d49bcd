import { describe, expect, it } from 'vitest';
import type { CarriedChunk, Carrier, ChunkOwner } from '../../src/delivery/carrier.ts';
import { Flusher } from '../../src/delivery/flush.ts';
import { type KeptChunk, KeptChunks } from '../../src/delivery/kept-chunks.ts';
import type { FlushTimeout } from '../../src/delivery/outcome.ts';
import type { Chunk } from '../../src/encode/chunk.ts';
import { SeverityCounts } from '../../src/severity.ts';
import { FakeClock, settle } from '../support/fake-clock.ts';
import { batchEncoder, NOW, record } from '../support/records.ts';

/** A carrier that the test acknowledges and refuses for. */
class FakeCarrier implements Carrier {
  readonly owners: ChunkOwner[] = [];
  readonly chunks: Chunk[] = [];
  readonly givenUp: Chunk[] = [];
  changes = 0;

  carry(chunk: Chunk, owner: ChunkOwner): CarriedChunk {
    this.chunks.push(chunk);
    this.owners.push(owner);
    return { chunk, transit: undefined, giveUp: () => void this.givenUp.push(chunk) };
  }

  change(action: () => void): void {
    this.changes++;
    action();
  }

  acknowledge(number: number): void {
    this.owners[number]?.acknowledged();
  }

  refuse(number: number): void {
    this.owners[number]?.refused(this.chunks[number] as Chunk);
  }
}

const FLUSH_TIMEOUT_MILLIS = 10_000;

/** Chunks of the test, and a flusher of them. `log` has what the chunks report. */
function keptChunks({ prepare = async () => {} } = {}) {
  const clock = new FakeClock();
  const carrier = new FakeCarrier();
  const log: string[] = [];
  const numberOf = (kept: KeptChunk) => carrier.chunks.indexOf(kept.carried.chunk);
  const chunks: KeptChunks = new KeptChunks({
    carrier,
    onRefused: (kept) => {
      log.push(`refused ${numberOf(kept)}, given up: ${carrier.givenUp.length}`);
      chunks.giveUp(kept);
    },
    onFlushTimeout: (late, { limit }: FlushTimeout) => log.push(`timeout, ${limit}: ${late.map(numberOf)}`),
  });
  const sender = { lastAckAt: Number.NEGATIVE_INFINITY, hurries: 0, hurry: () => void sender.hurries++ };
  const flusher = new Flusher({
    running: chunks,
    sender,
    clock,
    flushTimeoutMillis: FLUSH_TIMEOUT_MILLIS,
    roundMillis: 10_000,
    prepare,
  });
  const keep = () => {
    const [chunk] = batchEncoder().encode([record()], NOW).chunks as [Chunk];
    chunks.keep(chunk, new SeverityCounts());
  };
  const acknowledge = (number: number) => {
    sender.lastAckAt = clock.now();
    carrier.acknowledge(number);
  };
  /** Starts a flush. `isDone()` says whether it has resolved. */
  const flush = (maxMillis?: number) => {
    let done = false;
    const promise = flusher.flush(maxMillis).then(() => {
      done = true;
    });
    return { promise, isDone: () => done };
  };
  return { acknowledge, carrier, chunks, clock, flush, keep, log, sender };
}

describe('kept chunks', () => {
  it('a kept chunk is in flight until it is acknowledged', () => {
    const { carrier, chunks, keep, log } = keptChunks();
    for (let i = 0; i < 2; i++) keep();
    const ended: KeptChunk[] = [];
    const stop = chunks.onEnded((kept) => ended.push(kept));
    const [first, second] = [...chunks.inFlight];
    carrier.acknowledge(1);
    expect([...chunks.inFlight]).toEqual([first]);
    expect(ended).toEqual([second]);
    stop();
    carrier.acknowledge(0);
    expect([chunks.inFlight.size, ended.length, carrier.givenUp.length, log]).toEqual([0, 1, 0, []]);
  });

  it('a kept chunk that is refused is reported, and then given up', () => {
    const { carrier, chunks, keep, log } = keptChunks();
    for (let i = 0; i < 2; i++) keep();
    carrier.refuse(0);
    expect(log).toEqual(['refused 0, given up: 0']);
    expect(carrier.givenUp).toEqual([carrier.chunks[0]]);
    expect(chunks.inFlight.size).toBe(1);
  });
});

describe('a flush of kept chunks', () => {
  it('a flush of kept chunks resolves when all of them are settled, and waits for no later one', async () => {
    const { acknowledge, carrier, chunks, clock, flush, keep, log, sender } = keptChunks();
    for (let i = 0; i < 3; i++) keep();
    const { isDone, promise } = flush();
    await settle();
    keep();
    expect(sender.hurries).toBe(1);
    acknowledge(2);
    acknowledge(0);
    await settle();
    expect(isDone()).toBe(false);
    carrier.refuse(1);
    await promise;
    expect([chunks.inFlight.size, clock.timers, log]).toEqual([1, 0, ['refused 1, given up: 0']]);
  });

  it('a flush without chunks resolves at once', async () => {
    const { clock, flush, sender } = keptChunks();
    await flush().promise;
    expect([clock.timers, sender.hurries]).toEqual([0, 0]);
  });

  it('a flush waits for its preparation first, and then for the chunks that this has made', async () => {
    let prepared = () => {};
    const fixture = keptChunks({
      prepare: () =>
        new Promise<void>((resolve) => {
          prepared = resolve;
        }),
    });
    const { isDone, promise } = fixture.flush();
    await settle();
    expect(isDone()).toBe(false);
    fixture.keep();
    prepared();
    await settle();
    expect(isDone()).toBe(false);
    fixture.acknowledge(0);
    await promise;
  });

  it('a flush ends after flushTimeoutMillis without an ack, reports what is left, and keeps it', async () => {
    const { acknowledge, carrier, chunks, clock, flush, keep, log } = keptChunks();
    for (let i = 0; i < 3; i++) keep();
    const { isDone, promise } = flush();
    await clock.advance(6_000);
    acknowledge(1);
    await clock.advance(9_999);
    expect(isDone()).toBe(false);
    await clock.advance(1);
    await promise;
    expect(log).toEqual(['timeout, no ack: 0,2']);
    expect([chunks.inFlight.size, carrier.givenUp]).toEqual([2, []]);
    acknowledge(0);
    acknowledge(2);
    expect([chunks.inFlight.size, clock.timers]).toEqual([0, 0]);
  });

  it('a flush ends 25 s after its call although acks come', async () => {
    const { acknowledge, clock, flush, keep, log } = keptChunks();
    for (let i = 0; i < 9; i++) keep();
    const { isDone, promise } = flush();
    for (let i = 0; i < 8; i++) {
      await clock.advance(3_000);
      acknowledge(i);
    }
    await clock.advance(999);
    expect(isDone()).toBe(false);
    await clock.advance(1);
    await promise;
    expect(log).toEqual(['timeout, whole flush: 8']);
  });

  it.each([
    [1, 1],
    [500, 500],
    [60_000, FLUSH_TIMEOUT_MILLIS],
    [0, FLUSH_TIMEOUT_MILLIS],
    [-1, FLUSH_TIMEOUT_MILLIS],
    [Number.NaN, FLUSH_TIMEOUT_MILLIS],
    [undefined, FLUSH_TIMEOUT_MILLIS],
  ])('a flush with timeoutMillis %s ends after %i ms', async (maxMillis, expected) => {
    const { clock, flush, keep } = keptChunks();
    keep();
    const { isDone, promise } = flush(maxMillis);
    await clock.advance(expected - 1);
    expect(isDone()).toBe(false);
    await clock.advance(1);
    await promise;
  });

  it('a flush whose preparation takes too long ends all the same', async () => {
    const { clock, flush, log } = keptChunks({ prepare: () => new Promise<void>(() => {}) });
    const { promise } = flush(500);
    await clock.advance(500);
    await promise;
    expect([log, clock.timers]).toEqual([['timeout, whole flush: '], 0]);
  });

  it('concurrent flushes each wait for the chunks that were there when they were called', async () => {
    const { acknowledge, clock, flush, keep, log } = keptChunks();
    keep();
    const first = flush();
    const short = flush(500);
    await settle();
    keep();
    const second = flush();
    await clock.advance(500);
    expect([first.isDone(), short.isDone(), second.isDone()]).toEqual([false, true, false]);
    expect(log).toEqual(['timeout, whole flush: 0']);
    acknowledge(0);
    await settle();
    expect([first.isDone(), second.isDone()]).toEqual([true, false]);
    acknowledge(1);
    await second.promise;
    expect(clock.timers).toBe(0);
  });
});
