import type { Clock, Timer } from '../clock.ts';
import type { Chunk } from '../encode/chunk.ts';
import type { Address } from '../endpoint/address.ts';
import type { FluentForwardConnectionError } from '../errors.ts';
import type { Connection, ConnectionObserver } from './connection.ts';

export interface SlotOptions {
  readonly rotationIntervalMillis: number;
  readonly clock: Clock;
  readonly random: () => number;
  /** The slot's share of the first interval, so that a process's connections are staggered. */
  readonly firstRotation: { readonly from: number; readonly to: number };
  /** `isReplaced`: what is opened takes the place of a connection to `avoid`. */
  readonly connect: (avoid: Address | undefined, isReplaced: boolean, observer: ConnectionObserver) => Connection;
  /** Whether to dial again at once: there is a healthy address that is not `other`. */
  readonly mayDial: (other: Address | undefined) => boolean;
  /** Whether a dial now would go to an address that is preferred to this one, a standby. */
  readonly mayReturn: (address: Address) => boolean;
  /** After how long to ask `mayReturn`; `undefined` where nothing is preferred to this address. */
  readonly returnMillis: (address: Address) => number | undefined;
  readonly observer: SlotObserver;
}

export interface SlotObserver {
  /** A connection may take chunks that could not before. */
  onCapacity(): void;
  /** The same, and the connection is new. */
  opened(connection: Connection): void;
  acknowledged(connection: Connection, chunk: Chunk, latencyMillis: number): void;
  unacknowledged(connection: Connection, chunk: Chunk, error: FluentForwardConnectionError, isSuspect: boolean): void;
  /** `isHarmless`: a rotation's dial failed, and the connection that it would have replaced works. */
  failed(
    connection: Connection,
    error: FluentForwardConnectionError,
    chunks: readonly Chunk[],
    isHarmless: boolean,
  ): void;
  rotated(from: Connection, to: Connection): void;
}

const JITTER = 0.1;
/** Rotation waits while so many old connections are still owed acks. */
const MAX_DRAINING = 2;
/** Of connections that wait for late acks the oldest is closed when there are more. */
const MAX_RETIRED = 8;

/** One of the connections that are kept, through its rotations. */
export class Slot implements ConnectionObserver {
  readonly #options: SlotOptions;
  #current: Connection | undefined;
  /** On its way to replace the current one: dialled, or waiting for its first ack. */
  #candidate: Connection | undefined;
  /** Those that take no chunks any more and wait for acks. */
  readonly #retired = new Set<Connection>();
  /** Why the candidate was dialled. */
  #isReturning = false;
  #timer: Timer | undefined;
  #rotateAt = 0;
  #isClosed = false;
  #lastAddress: Address | undefined;

  constructor(options: SlotOptions) {
    this.#options = options;
  }

  get current(): Connection | undefined {
    return this.#current;
  }

  get candidate(): Connection | undefined {
    return this.#candidate;
  }

  /** All that it has open, or is about to open. */
  get connections(): readonly Connection[] {
    return [this.#current, this.#candidate, ...this.#retired].filter((connection) => connection !== undefined);
  }

  get isEmpty(): boolean {
    return this.#current === undefined && this.#candidate === undefined;
  }

  dial(): void {
    const avoid = this.#current?.address ?? this.#lastAddress;
    this.#candidate = this.#options.connect(avoid, this.#current !== undefined, this);
  }

  /** Closes everything at once. */
  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
    this.#timer = undefined;
    // The candidate first: the current one's end would promote it.
    this.#candidate?.close();
    for (const connection of this.connections) connection.close();
  }

  opened(connection: Connection): void {
    this.#lastAddress = connection.address;
    // With nothing to replace it works at once; else it has to earn its place by an ack.
    if (this.#current === undefined && connection === this.#candidate) this.#promote();
    this.#options.observer.opened(connection);
  }

  acknowledged(connection: Connection, chunk: Chunk, latencyMillis: number): void {
    if (connection === this.#candidate) this.#promote();
    this.#options.observer.acknowledged(connection, chunk, latencyMillis);
  }

  unacknowledged(...reported: Parameters<SlotObserver['unacknowledged']>): void {
    this.#options.observer.unacknowledged(...reported);
  }

  failed(connection: Connection, error: FluentForwardConnectionError, chunks: readonly Chunk[]): void {
    const isRotation = connection === this.#candidate && this.#current !== undefined;
    this.#options.observer.failed(connection, error, chunks, isRotation && chunks.length === 0);
    this.#leave(connection);
    if (connection.state === 'retiring') this.#retain(connection);
    if (!isRotation) return;
    // The next address at once; with none left, the interval's end.
    const address = this.#current?.address;
    if (this.#isReturning) {
      if (address !== undefined && this.#options.mayReturn(address)) this.#rotate(true);
      else this.#schedule(this.#rotateAt - this.#options.clock.now());
    } else if (this.#options.mayDial(address)) this.#rotate(false);
    else this.#schedule(this.#jittered());
  }

  closed(connection: Connection): void {
    this.#leave(connection);
    this.#retired.delete(connection);
    if (this.isEmpty) {
      this.#timer?.cancel();
      this.#timer = undefined;
    }
    this.#options.observer.onCapacity();
  }

  #leave(connection: Connection): void {
    if (connection === this.#current) {
      this.#current = undefined;
      if (this.#candidate?.state === 'open') this.#promote();
    } else if (connection === this.#candidate) {
      this.#candidate = undefined;
    }
  }

  #retain(connection: Connection): void {
    this.#retired.add(connection);
    if (this.#retired.size > MAX_RETIRED) this.#retired.values().next().value?.close();
  }

  #promote(): void {
    const old = this.#current;
    const next = this.#candidate as Connection;
    this.#current = next;
    this.#candidate = undefined;
    const { rotationIntervalMillis: interval, firstRotation, random } = this.#options;
    if (old === undefined) {
      const { from, to } = firstRotation;
      this.#schedule(interval * (to - (to - from) * random()));
      return;
    }
    this.#schedule(this.#jittered());
    this.#options.observer.rotated(old, next);
    // It drains; if it owes nothing it closes on the spot.
    this.#retain(old);
    old.retire();
  }

  #jittered(): number {
    const { rotationIntervalMillis, random } = this.#options;
    return rotationIntervalMillis * (1 - JITTER + 2 * JITTER * random());
  }

  /** Rotates after so long, or sooner where that leads back to an address that is preferred, from a standby. */
  #schedule(millis: number): void {
    this.#timer?.cancel();
    const { clock, returnMillis, rotationIntervalMillis: interval } = this.#options;
    const address = this.#current?.address;
    const untilRotation = interval === 0 ? Number.POSITIVE_INFINITY : millis;
    this.#rotateAt = clock.now() + untilRotation;
    const untilReturn = (address && returnMillis(address)) ?? Number.POSITIVE_INFINITY;
    const after = Math.min(untilRotation, untilReturn);
    if (this.#isClosed || after === Number.POSITIVE_INFINITY) return;
    this.#timer = clock.after(after, () => this.#due());
  }

  /** The interval has passed, or there may be a way back: closes what nobody has used for two intervals, else rotates. */
  #due(): void {
    const current = this.#current;
    if (current === undefined) return;
    const { clock, rotationIntervalMillis: interval } = this.#options;
    const candidate = this.#candidate;
    const isBusy = current.inFlight + (candidate?.inFlight ?? 0) > 0;
    const idleMillis = isBusy ? 0 : clock.now() - current.lastSentAt;
    if (interval > 0 && idleMillis >= 2 * interval) {
      candidate?.close();
      current.close();
      return;
    }
    // Timers have whole milliseconds.
    const untilRotation = this.#rotateAt - clock.now();
    const isRotation = untilRotation < 1;
    const mayReturn = current.address !== undefined && this.#options.mayReturn(current.address);
    if (isRotation || mayReturn) this.#rotate(!isRotation);
    if (!isRotation) this.#schedule(untilRotation);
    else this.#schedule(idleMillis >= interval ? 2 * interval - idleMillis : this.#jittered());
  }

  /** `isReturning`: not because of the connection's age, but to leave a standby. */
  #rotate(isReturning: boolean): void {
    if (this.#current === undefined || this.#candidate !== undefined || this.#isClosed) return;
    if (this.#retired.size >= MAX_DRAINING) return;
    this.#isReturning = isReturning;
    this.dial();
  }
}
