import type { Clock } from '../clock.ts';
import type { Chunk } from '../encode/chunk.ts';

interface Entry {
  readonly chunk: Chunk;
  readonly sentAt: number;
  /**
   * - unsent: the operating system has taken no byte of the chunk.
   * - sending: it has taken some bytes.
   * - written: it has taken all bytes.
   * - overdue: the chunk was given back. Its ack still counts.
   */
  phase: 'unsent' | 'sending' | 'written' | 'overdue';
  /** When the operating system last took bytes of the chunk. */
  takenAt: number;
  /** Whether somebody waits for the ack. If nobody does, the ack still shows that the receiver works. */
  isWanted: boolean;
}

/** What an ack means. */
export interface Acknowledgement {
  readonly chunk: Chunk;
  /** From handing the chunk to the connection to its ack. */
  readonly latencyMillis: number;
  /** Whether it is the first ack on the connection. */
  readonly isFirst: boolean;
  /** Chunks that were sent before, and whose acks should have come before. */
  readonly skipped: readonly Chunk[];
}

/** The chunks that are in flight on one connection: how far each is written, and whether its ack is overdue. */
export class InFlight {
  readonly #clock: Clock;
  /** In the order in which the chunks are written, which is the order of their acks. */
  readonly #entries = new Map<string, Entry>();
  /** A chunk that was acknowledged elsewhere before the first ack here. Its ack here would be the first one. */
  #proof: Entry | undefined;
  #acks = 0;
  #lastAckAt = Number.NEGATIVE_INFINITY;
  /** When the operating system last took bytes, or when there were bytes to write again. */
  #lastWriteAt = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Whether a chunk was acknowledged. */
  get isProven(): boolean {
    return this.#acks > 0;
  }

  /** The chunks that were not given back, wanted or not. */
  get unacknowledged(): readonly Chunk[] {
    return this.#waiting().map(({ chunk }) => chunk);
  }

  /** The chunk that may be the reason of a fault: the receiver has bytes of it and had to acknowledge it next. */
  get suspect(): Chunk | undefined {
    const [next] = this.#entries.values();
    return next?.phase === 'sending' || next?.phase === 'written' ? next.chunk : undefined;
  }

  /** Since when nothing has moved: neither did bytes leave, nor did an ack arrive. */
  get quietSince(): number {
    return Math.max(this.#lastWriteAt, this.#lastAckAt);
  }

  /** Since when the connection waits for the next ack; `undefined` if it waits for none. */
  get ackAwaitedSince(): number | undefined {
    for (const entry of this.#entries.values()) {
      if (entry.phase !== 'overdue') return this.#awaitedSince(entry);
    }
    return undefined;
  }

  /** `isIdle`: before this chunk there was nothing to write. */
  add(chunk: Chunk, isIdle: boolean): void {
    const now = this.#clock.now();
    if (isIdle) this.#lastWriteAt = now;
    this.#entries.set(chunk.id, {
      chunk,
      sentAt: now,
      phase: 'unsent',
      takenAt: Number.NEGATIVE_INFINITY,
      isWanted: true,
    });
  }

  has({ id }: Chunk): boolean {
    return this.#entries.has(id);
  }

  /** Whether the ack of the chunk is waited for; `false` once the chunk was given back. */
  isAwaited({ id }: Chunk): boolean {
    const entry = this.#entries.get(id);
    return entry !== undefined && entry.phase !== 'overdue';
  }

  /** Whether the operating system has taken bytes of the chunk. */
  hasTaken({ id }: Chunk): boolean {
    const takenAt = this.#entries.get(id)?.takenAt;
    return takenAt !== undefined && takenAt !== Number.NEGATIVE_INFINITY;
  }

  /** The operating system has taken bytes of the chunk; `isWhole`: all that were left. */
  wrote({ id }: Chunk, isWhole: boolean): void {
    this.#lastWriteAt = this.#clock.now();
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    entry.takenAt = this.#lastWriteAt;
    if (entry.phase !== 'overdue') entry.phase = isWhole ? 'written' : 'sending';
  }

  /**
   * The server has sent an ack. The id is the last field of a message, so a receiver that returns it has read the whole
   * message. Returns `undefined` for an id that is not in flight here: repeated, stale, or another connection's.
   */
  acknowledge(id: string): Acknowledgement | undefined {
    const entry = this.#entries.get(id);
    const acked = entry ?? (this.#proof?.chunk.id === id ? this.#proof : undefined);
    if (acked === undefined) return undefined;
    this.#proof = undefined;
    this.#acks++;
    this.#lastAckAt = this.#clock.now();
    const skipped = entry === undefined ? [] : this.#before(entry);
    this.#entries.delete(id);
    return {
      chunk: acked.chunk,
      latencyMillis: this.#lastAckAt - acked.sentAt,
      isFirst: this.#acks === 1,
      skipped,
    };
  }

  /** The oldest chunk, which the receiver answers next. */
  get oldest(): Chunk | undefined {
    const [oldest] = this.#entries.values();
    return oldest?.chunk;
  }

  remove({ id }: Chunk): void {
    this.#entries.delete(id);
  }

  /** Nobody waits for the ack any longer, but the connection still does. */
  giveUp({ id }: Chunk): void {
    const entry = this.#entries.get(id);
    if (entry !== undefined) entry.isWanted = false;
  }

  /** Another connection has got the ack. The connection waits for its own only while nothing else has proved it. */
  acknowledgedElsewhere({ id }: Chunk): void {
    if (!this.isProven) this.#proof = this.#entries.get(id);
    this.#entries.delete(id);
  }

  /** The chunks whose acks are awaited since `limit` or longer. */
  overdueSince(limit: number): readonly Chunk[] {
    return this.#waiting()
      .filter((entry) => (this.#awaitedSince(entry) ?? Number.POSITIVE_INFINITY) <= limit)
      .map(({ chunk }) => chunk);
  }

  /**
   * Gives back the chunks in `overdue`, and every chunk for which `takeBack` returns true: no byte of it was written.
   * Returns the wanted chunks, which have to be sent elsewhere. Acks of overdue chunks still count.
   */
  giveBack(overdue: readonly Chunk[], takeBack: (chunk: Chunk) => boolean): readonly Chunk[] {
    const wanted: Chunk[] = [];
    for (const entry of this.#waiting()) {
      const isUnsent = takeBack(entry.chunk);
      if (!isUnsent && !overdue.includes(entry.chunk)) continue;
      entry.phase = 'overdue';
      if (isUnsent || !entry.isWanted) this.#entries.delete(entry.chunk.id);
      if (entry.isWanted) wanted.push(entry.chunk);
    }
    return wanted;
  }

  /** Ends everything. Returns the wanted chunks that were not given back. */
  clear(): readonly Chunk[] {
    const wanted = this.#waiting().filter(({ isWanted }) => isWanted);
    this.#entries.clear();
    this.#proof = undefined;
    return wanted.map(({ chunk }) => chunk);
  }

  #waiting(): readonly Entry[] {
    return [...this.#entries.values()].filter(({ phase }) => phase !== 'overdue');
  }

  /** The chunks before `acked` that were not given back. */
  #before(acked: Entry): readonly Chunk[] {
    const before: Chunk[] = [];
    for (const entry of this.#entries.values()) {
      if (entry === acked) break;
      if (entry.phase !== 'overdue') before.push(entry.chunk);
    }
    return before;
  }

  /**
   * Since when the ack of a chunk is awaited: since its last bytes left, or since the ack of an earlier chunk. So a slow
   * receiver that acknowledges steadily keeps its chunks. `undefined` while bytes are left to write.
   */
  #awaitedSince({ phase, takenAt }: Entry): number | undefined {
    return phase === 'written' ? Math.max(takenAt, this.#lastAckAt) : undefined;
  }
}
