import { describe, expect, it } from 'vitest';
import { InFlight } from '../../src/connection/in-flight.ts';
import type { Chunk } from '../../src/encode/chunk.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { batchEncoder, NOW, record } from '../support/records.ts';

function chunk(): Chunk {
  return batchEncoder().encode([record()], NOW).chunks[0] as Chunk;
}

/** Three chunks that are in flight; `written`: how many of them the operating system has taken. */
function inFlight({ written = 3 }: { written?: number } = {}) {
  const clock = new FakeClock();
  const ledger = new InFlight(clock);
  const [a, b, c] = [chunk(), chunk(), chunk()];
  for (const [i, each] of [a, b, c].entries()) ledger.add(each, i === 0);
  for (const each of [a, b, c].slice(0, written)) ledger.wrote(each, true);
  return { clock, ledger, a, b, c };
}

const never = () => false;

describe('the chunks in flight on a connection', () => {
  it('an ack names its chunk, its latency, and whether it is the first one', async () => {
    const { clock, ledger, a, b } = inFlight();
    expect(ledger.isProven).toBe(false);
    await clock.advance(30);
    expect(ledger.acknowledge(a.id)).toEqual({ chunk: a, latencyMillis: 30, isFirst: true, skipped: [] });
    expect(ledger.isProven).toBe(true);
    await clock.advance(10);
    expect(ledger.acknowledge(b.id)).toEqual({ chunk: b, latencyMillis: 40, isFirst: false, skipped: [] });
    expect(ledger.size).toBe(1);
  });

  it('an id that is not in flight is ignored: unknown, repeated, or that of a removed chunk', () => {
    const { ledger, a, b } = inFlight();
    ledger.acknowledge(a.id);
    ledger.remove(b);
    for (const id of ['unknown', a.id, b.id]) expect(ledger.acknowledge(id)).toBeUndefined();
    expect(ledger.size).toBe(1);
  });

  it('the ack of a later chunk skips the chunks before it', () => {
    const { ledger, a, b, c } = inFlight();
    expect(ledger.acknowledge(c.id)?.skipped).toEqual([a, b]);
    expect(ledger.unacknowledged).toEqual([a, b]);
  });

  it('a late ack of an overdue chunk counts, and skips only chunks before it that are not overdue', () => {
    const { ledger, a, b, c } = inFlight();
    expect(ledger.giveBack([b], never)).toEqual([b]);
    expect(ledger.unacknowledged).toEqual([a, c]);
    expect(ledger.isAwaited(b)).toBe(false);
    expect(ledger.acknowledge(b.id)).toMatchObject({ chunk: b, skipped: [a] });
  });

  it('an ack does not skip chunks that are overdue', () => {
    const { ledger, a, b, c } = inFlight();
    ledger.giveBack([a], never);
    expect(ledger.acknowledge(c.id)?.skipped).toEqual([b]);
  });

  it('the time for an ack starts when the last bytes leave, and again with the ack of an earlier chunk', async () => {
    const { clock, ledger, a, b } = inFlight({ written: 0 });
    expect(ledger.ackAwaitedSince).toBeUndefined();
    ledger.wrote(a, false);
    expect(ledger.ackAwaitedSince).toBeUndefined();
    await clock.advance(100);
    ledger.wrote(a, true);
    expect(ledger.ackAwaitedSince).toBe(clock.now());
    await clock.advance(100);
    ledger.wrote(b, true);
    await clock.advance(100);
    ledger.acknowledge(a.id);
    expect(ledger.ackAwaitedSince).toBe(clock.now());
    expect(ledger.overdueSince(clock.now() - 1)).toEqual([]);
    expect(ledger.overdueSince(clock.now())).toEqual([b]);
  });

  it('the connection is quiet since the last bytes or the last ack', async () => {
    const { clock, ledger, a, b } = inFlight({ written: 1 });
    const start = clock.now();
    expect(ledger.quietSince).toBe(start);
    await clock.advance(10);
    ledger.wrote(b, false);
    expect(ledger.quietSince).toBe(start + 10);
    await clock.advance(10);
    ledger.acknowledge(a.id);
    expect(ledger.quietSince).toBe(start + 20);
  });

  it('a chunk is quiet from the time when it was added only if there was nothing else to write', async () => {
    const { clock, ledger } = inFlight({ written: 0 });
    const start = clock.now();
    await clock.advance(10);
    ledger.add(chunk(), false);
    expect(ledger.quietSince).toBe(start);
    ledger.add(chunk(), true);
    expect(ledger.quietSince).toBe(start + 10);
  });

  it('only the oldest chunk is suspect, and only if bytes of it have left', () => {
    const { ledger, a, b } = inFlight({ written: 0 });
    expect(ledger.suspect).toBeUndefined();
    ledger.wrote(b, true);
    expect(ledger.suspect).toBeUndefined();
    ledger.wrote(a, false);
    expect(ledger.suspect).toBe(a);
    ledger.wrote(a, true);
    expect(ledger.suspect).toBe(a);
    ledger.giveBack([a], never);
    expect(ledger.suspect).toBeUndefined();
  });

  it('it is known whether the operating system has taken bytes of a chunk', () => {
    const { ledger, a, b } = inFlight({ written: 0 });
    ledger.wrote(a, false);
    expect([ledger.hasTaken(a), ledger.hasTaken(b), ledger.hasTaken(chunk())]).toEqual([true, false, false]);
  });

  it('overdue chunks and chunks that can be taken back are given back', () => {
    const { ledger, a, b, c } = inFlight({ written: 2 });
    expect(ledger.giveBack([a], (each) => each === c)).toEqual([a, c]);
    // The ack of a chunk that was written may still come.
    expect([ledger.has(a), ledger.has(b), ledger.has(c)]).toEqual([true, true, false]);
    expect(ledger.giveBack([a], never)).toEqual([]);
  });

  it('a chunk that was given up is awaited, and is not given back', () => {
    const { ledger, a, b } = inFlight();
    ledger.giveUp(a);
    expect(ledger.isAwaited(a)).toBe(true);
    expect(ledger.unacknowledged).toContain(a);
    expect(ledger.giveBack([a, b], never)).toEqual([b]);
    expect(ledger.has(a)).toBe(false);
  });

  it('the ack of a chunk that was acknowledged elsewhere is awaited until the first ack', () => {
    const { ledger, a, b } = inFlight();
    ledger.acknowledgedElsewhere(a);
    expect(ledger.has(a)).toBe(false);
    expect(ledger.acknowledge(a.id)).toMatchObject({ chunk: a, isFirst: true, skipped: [] });
    expect(ledger.acknowledge(a.id)).toBeUndefined();
    ledger.acknowledgedElsewhere(b);
    expect(ledger.acknowledge(b.id)).toBeUndefined();
  });

  it('another first ack ends the wait for a chunk that was acknowledged elsewhere', () => {
    const { ledger, a, b } = inFlight();
    ledger.acknowledgedElsewhere(a);
    ledger.acknowledge(b.id);
    expect(ledger.acknowledge(a.id)).toBeUndefined();
  });

  it('the end returns the wanted chunks that were not given back', () => {
    const { ledger, a, b, c } = inFlight();
    ledger.giveBack([a], never);
    ledger.giveUp(b);
    expect(ledger.clear()).toEqual([c]);
    expect(ledger.size).toBe(0);
    expect(ledger.acknowledge(c.id)).toBeUndefined();
  });

  it('chunks are unacknowledged in the order in which they are sent, and the first of them is the oldest', () => {
    const { ledger, a, b, c } = inFlight({ written: 0 });
    expect([ledger.unacknowledged, ledger.oldest]).toEqual([[a, b, c], a]);
    ledger.acknowledge(b.id);
    expect([ledger.unacknowledged, ledger.oldest]).toEqual([[a, c], a]);
    ledger.remove(a);
    expect([ledger.unacknowledged, ledger.oldest]).toEqual([[c], c]);
  });

  it('an overdue chunk that the receiver has not acknowledged is still the oldest', () => {
    const { ledger, a } = inFlight();
    ledger.giveBack([a], never);
    expect(ledger.oldest).toBe(a);
  });

  it('the late ack of an overdue chunk restarts the time for later chunks', async () => {
    const { clock, ledger, a, b } = inFlight();
    await clock.advance(100);
    ledger.giveBack([a], never);
    expect(ledger.ackAwaitedSince).toBe(0);
    await clock.advance(50);
    expect(ledger.acknowledge(a.id)).toEqual({ chunk: a, latencyMillis: 150, isFirst: true, skipped: [] });
    expect(ledger.ackAwaitedSince).toBe(150);
    expect(ledger.overdueSince(149)).toEqual([]);
    expect(ledger.unacknowledged).toContain(b);
  });

  it('the time for an ack is that of the oldest chunk that is not overdue', async () => {
    const { clock, ledger, a, b } = inFlight({ written: 1 });
    await clock.advance(100);
    ledger.wrote(b, true);
    expect(ledger.ackAwaitedSince).toBe(0);
    ledger.giveBack([a], never);
    expect(ledger.ackAwaitedSince).toBe(100);
  });

  it('a chunk is overdue only if all its bytes have left', () => {
    const { ledger, a, b } = inFlight({ written: 1 });
    ledger.wrote(b, false);
    expect(ledger.overdueSince(0)).toEqual([a]);
    expect(ledger.overdueSince(-1)).toEqual([]);
  });

  it('a chunk that was given back before its last bytes left stays overdue when they leave', async () => {
    const { clock, ledger, a } = inFlight({ written: 0 });
    ledger.wrote(a, false);
    ledger.giveBack([a], never);
    await clock.advance(10);
    ledger.wrote(a, true);
    expect([ledger.isAwaited(a), ledger.suspect, ledger.overdueSince(10)]).toEqual([false, undefined, []]);
    expect([ledger.hasTaken(a), ledger.quietSince]).toEqual([true, 10]);
    expect(ledger.acknowledge(a.id)).toMatchObject({ chunk: a });
  });

  it('the ack of a chunk that was given up proves the connection, and restarts the time for later chunks', async () => {
    const { clock, ledger, a } = inFlight();
    ledger.giveUp(a);
    await clock.advance(20);
    expect(ledger.acknowledge(a.id)).toEqual({ chunk: a, latencyMillis: 20, isFirst: true, skipped: [] });
    expect([ledger.isProven, ledger.ackAwaitedSince]).toEqual([true, 20]);
  });

  it('an overdue chunk that is given up can still be acknowledged', () => {
    const { ledger, a } = inFlight();
    ledger.giveBack([a], never);
    ledger.giveUp(a);
    expect(ledger.acknowledge(a.id)).toMatchObject({ chunk: a });
  });

  it('the ack of a chunk that was acknowledged elsewhere skips no chunk, and its latency counts from its sending', async () => {
    const { clock, ledger, a, b } = inFlight();
    ledger.acknowledgedElsewhere(b);
    await clock.advance(40);
    expect(ledger.acknowledge(b.id)).toEqual({ chunk: b, latencyMillis: 40, isFirst: true, skipped: [] });
    expect(ledger.unacknowledged).toContain(a);
  });

  it('a chunk that was acknowledged elsewhere does not count as in flight', () => {
    const { ledger, a, b, c } = inFlight();
    ledger.acknowledgedElsewhere(a);
    expect([ledger.size, ledger.isProven, ledger.suspect]).toEqual([2, false, b]);
    expect(ledger.unacknowledged).toEqual([b, c]);
    ledger.clear();
    expect(ledger.acknowledge(a.id)).toBeUndefined();
  });

  it('a chunk that is not in flight is ignored', () => {
    const { ledger } = inFlight();
    const other = chunk();
    ledger.wrote(other, true);
    ledger.giveUp(other);
    ledger.acknowledgedElsewhere(other);
    ledger.remove(other);
    expect([ledger.has(other), ledger.isAwaited(other), ledger.hasTaken(other)]).toEqual([false, false, false]);
    expect(ledger.acknowledge(other.id)).toBeUndefined();
    expect([ledger.size, ledger.isProven]).toEqual([3, false]);
  });
});
