import { backoffDelay } from '../backoff-delay.ts';
import type { Clock } from '../clock.ts';
import type { Connection } from '../connection/connection.ts';
import type { ConnectionPool, PoolObserver } from '../connection/pool.ts';
import type { Chunk } from '../encode/chunk.ts';
import type { FluentForwardConnectionError } from '../errors.ts';
import type { Counters } from '../stats.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';
import type { ChunkOwner } from './carrier.ts';
import { ChunkInTransit, QUEUED, RETRY, SETTLED, type TransitState } from './chunk-in-transit.ts';
import { Doubt, type HandOver, HandOvers } from './doubt.ts';

/** What the sender needs of the connections. */
export type SenderPool = Pick<
  ConnectionPool,
  | 'close'
  | 'connect'
  | 'isBackingOff'
  | 'observe'
  | 'pick'
  | 'reportRecovery'
  | 'retryNow'
  | 'send'
  | 'wakeAfterBackoff'
>;

export interface SenderOptions {
  readonly pool: SenderPool;
  readonly clock: Clock;
  readonly random: () => number;
  readonly counters: Counters;
  readonly telemetry: Telemetry;
}

/** After this many unacknowledged tries a chunk goes behind all others: it may be refused. */
const DOUBTFUL_TRIES = 3;

/**
 * Brings each chunk to an ack, over one connection after the other. A chunk belongs to the caller, who may read it and
 * releases it.
 */
export class Sender implements PoolObserver {
  readonly #options: SenderOptions;
  /** The chunks that are not settled, by their ids. */
  readonly #inTransit = new Map<string, ChunkInTransit>();
  /** The chunks in the state `queued`, the next one first. */
  readonly #queue = new Set<ChunkInTransit>();
  /** The chunks in the state `retry`, the next one first. */
  readonly #retryQueue = new Set<ChunkInTransit>();
  /**
   * The chunks in the state `postponed`. Each has a timer of its own, because a new connection takes only one chunk until
   * its first ack, and a refused chunk would keep all others waiting.
   */
  readonly #postponed = new Set<ChunkInTransit>();
  readonly #handOvers = new HandOvers();
  #lastAckAt = Number.NEGATIVE_INFINITY;
  #isChanging = false;
  /** Whether something has changed since the pump ran last. */
  #isPumpDue = false;

  constructor(options: SenderOptions) {
    this.#options = options;
    options.pool.observe(this);
  }

  /** When a receiver acknowledged a chunk last. */
  get lastAckAt(): number {
    return this.#lastAckAt;
  }

  /** Whether receivers may refuse chunks that are held. Only the ack of another chunk can prove it. */
  get isInDoubt(): boolean {
    return this.#postponed.size > 0;
  }

  get waitingRecords(): number {
    let records = 0;
    for (const waiting of [this.#queue, this.#retryQueue, this.#postponed]) {
      for (const { chunk } of waiting) records += chunk.records;
    }
    return records;
  }

  /** Sends the chunk until it is acknowledged or given up. */
  send(chunk: Chunk, owner: ChunkOwner): ChunkInTransit {
    const transit = new ChunkInTransit(chunk, new Doubt(this.#handOvers), owner);
    this.change(() => {
      this.#inTransit.set(chunk.id, transit);
      this.#to(transit, QUEUED);
    });
    return transit;
  }

  /** Sends the chunk no more. Its late ack is ignored. */
  giveUp(transit: ChunkInTransit): void {
    if (transit.state.name === 'settled') return;
    this.change(() => this.#settle(transit, 'given up'));
  }

  /** Ends the backoff, and the waits of postponed chunks. */
  hurry(): void {
    this.change(() => {
      for (const transit of this.#postponed) this.#resume(transit);
      this.#options.pool.retryNow();
    });
  }

  close(): void {
    this.change(() => this.#options.pool.close());
  }

  /**
   * Runs `action`, and hands chunks to connections at its end. Every event runs in here. Closing a connection, logging
   * and publishing can cause other events, and the application may export from within them. Such an event only changes
   * the state; the pump runs once, when the outermost change is complete.
   */
  change(action: () => void): void {
    this.#isPumpDue = true;
    if (this.#isChanging) {
      action();
      return;
    }
    this.#isChanging = true;
    try {
      action();
    } finally {
      this.#pumpWhileDue();
    }
  }

  #pumpWhileDue(): void {
    try {
      while (this.#isPumpDue) {
        this.#isPumpDue = false;
        this.#pump();
      }
    } finally {
      this.#isChanging = false;
    }
  }

  /** The only place that hands chunks to connections. Has connections opened when there are not enough. */
  #pump(): void {
    const { pool } = this.#options;
    if (this.#retryQueue.size > 0 && pool.isBackingOff) pool.wakeAfterBackoff();
    if (!this.#mayRetry && this.#queue.size === 0) return;
    pool.connect();
    for (let connection = pool.pick(); connection !== undefined; connection = pool.pick()) {
      const next = this.#next();
      if (next === undefined) return;
      this.#handOver(next, connection);
    }
  }

  /** The chunk to send next. */
  #next(): ChunkInTransit | undefined {
    const source = this.#mayRetry ? this.#retryQueue : this.#queue;
    return source.values().next().value;
  }

  get #mayRetry(): boolean {
    return this.#retryQueue.size > 0 && !this.#options.pool.isBackingOff;
  }

  #handOver(transit: ChunkInTransit, connection: Connection): void {
    const { counters, pool, telemetry } = this.#options;
    const { chunk, lastFault } = transit;
    transit.attempts = [...transit.attempts, { connection, handOver: this.#handOvers.next(connection.address) }];
    this.#to(transit, { name: 'sent', connection });
    pool.send(connection, chunk);
    if (lastFault === undefined) {
      counters.sent.add(chunk.volume);
      telemetry.sent(chunk, connection);
    } else {
      counters.resent.add(chunk.volume);
      counters.resentChunks.add(lastFault.error.code);
      telemetry.resent(chunk, connection, lastFault.error);
    }
  }

  onCapacity(): void {
    this.change(() => {});
  }

  acknowledged(connection: Connection, chunk: Chunk, latencyMillis: number): void {
    const { clock, pool } = this.#options;
    this.#lastAckAt = clock.now();
    this.change(() => this.#acknowledged(connection, chunk, latencyMillis));
    if (this.#retryQueue.size === 0) pool.reportRecovery();
  }

  #acknowledged(connection: Connection, chunk: Chunk, latencyMillis: number): void {
    const transit = this.#inTransit.get(chunk.id);
    if (transit === undefined) return;
    const { counters, telemetry } = this.#options;
    const handOver = handOverTo(connection, transit);
    if (handOver !== undefined) this.#handOvers.acknowledged(handOver);
    counters.acknowledge(chunk.volume);
    // Before the others, which can call code of the application, which may shut down.
    transit.owner.acknowledged();
    this.#settle(transit, 'acknowledged');
    telemetry.acknowledged(chunk, connection, latencyMillis);
  }

  unacknowledged(connection: Connection, chunk: Chunk, error: FluentForwardConnectionError, isSuspect: boolean): void {
    this.change(() => {
      const transit = this.#inTransit.get(chunk.id);
      if (transit === undefined) return;
      transit.lastFault = { error, at: this.#options.clock.now() };
      this.#sendAgain(transit, connection, isSuspect);
    });
  }

  #sendAgain(transit: ChunkInTransit, connection: Connection, isSuspect: boolean): void {
    const { attempts, doubt } = transit;
    const handOver = handOverTo(connection, transit);
    if (isSuspect && handOver !== undefined) doubt.add(handOver);
    const isClosed = connection.state === 'closed';
    if (isClosed) transit.attempts = attempts.filter((attempt) => attempt.connection !== connection);
    // A connection that lives on without acknowledging the chunk puts the chunk in doubt.
    const isDoubtful = isSuspect && (!isClosed || doubt.tries >= DOUBTFUL_TRIES);
    this.#to(transit, isDoubtful ? this.#postponement(transit) : RETRY);
  }

  #postponement(transit: ChunkInTransit): TransitState {
    const { clock, random } = this.#options;
    const delay = backoffDelay(transit.doubt.tries, random);
    return { name: 'postponed', timer: clock.after(delay, () => this.change(() => this.#resume(transit))) };
  }

  /** Queues a postponed chunk behind all others. */
  #resume(transit: ChunkInTransit): void {
    this.#to(transit, QUEUED);
    this.#reportRefusal(transit);
  }

  /** Informs the owner once of a chunk that is refused for certain. */
  #reportRefusal(transit: ChunkInTransit): void {
    if (transit.isReported || !transit.doubt.isCertain) return;
    transit.isReported = true;
    transit.owner.refused(transit.chunk);
  }

  #settle(transit: ChunkInTransit, end: 'acknowledged' | 'given up'): void {
    this.#inTransit.delete(transit.chunk.id);
    this.#to(transit, SETTLED);
    for (const { connection } of transit.attempts) connection.forget(transit.chunk, end);
  }

  /** The only place where a chunk changes its state. */
  #to(transit: ChunkInTransit, next: TransitState): void {
    const { state } = transit;
    if (state.name === 'postponed') state.timer.cancel();
    this.#waitingIn(state)?.delete(transit);
    transit.state = next;
    this.#waitingIn(next)?.add(transit);
  }

  /** The chunks that wait in the same state. */
  #waitingIn({ name }: TransitState): Set<ChunkInTransit> | undefined {
    switch (name) {
      case 'queued':
        return this.#queue;
      case 'retry':
        return this.#retryQueue;
      case 'postponed':
        return this.#postponed;
      case 'sent':
      case 'settled':
        return undefined;
    }
  }
}

function handOverTo(connection: Connection, { attempts }: ChunkInTransit): HandOver | undefined {
  return attempts.find((attempt) => attempt.connection === connection)?.handOver;
}
