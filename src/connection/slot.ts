import type { Clock, Timer } from '../clock.ts';
import type { Address } from '../endpoint/address.ts';
import type { Connecting } from './connecting.ts';
import type { Connection } from './connection.ts';

export interface SlotOptions {
  readonly rotationIntervalMillis: number;
  readonly clock: Clock;
  readonly random: () => number;
  /** The slot's share of the first interval, so that the connections of a process rotate one after the other. */
  readonly firstRotation: { readonly from: number; readonly to: number };
  /** `isReplaced`: the new connection will replace one to `avoid`. */
  readonly dial: (avoid: Address | undefined, isReplaced: boolean) => Connecting;
  /** Whether to dial again at once: there is a healthy address that is not `other`. */
  readonly mayDial: (other: Address | undefined) => boolean;
  /** Whether a dial now would go to an address that is preferred to this one. */
  readonly mayReturn: (address: Address) => boolean;
  /** After how long to ask `mayReturn`; `undefined` if nothing is preferred to this address. */
  readonly returnMillis: (address: Address) => number | undefined;
  readonly onRotated: (from: Connection, to: Connection) => void;
}

const JITTER = 0.1;
/** Rotation waits while this many old connections wait for acks. */
const MAX_DRAINING = 2;
/** Above this number of connections that wait for late acks, the oldest is closed. */
const MAX_RETIRED = 8;

/** Keeps one connection, and replaces it by rotation. Its owner reports what happens to its dials and connections. */
export class Slot {
  readonly #options: SlotOptions;
  /** The connection in use. */
  #current: Connection | undefined;
  #dialling: Connecting | undefined;
  /** Replaces the current connection at its first ack. Invariant: undefined if there is no current connection. */
  #candidate: Connection | undefined;
  /** Connections that take no more chunks and wait for acks. */
  readonly #retired = new Set<Connection>();
  /** Whether the present rotation leaves a standby, and does not replace a connection because of its age. */
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

  /** The connections that may take chunks. */
  get usable(): readonly Connection[] {
    return [this.#current, this.#candidate].filter((connection) => connection !== undefined);
  }

  /** All connections, the one that is being dialled included. */
  get connections(): readonly (Connecting | Connection)[] {
    const kept = [this.#current, this.#candidate, this.#dialling];
    return [...kept.filter((connection) => connection !== undefined), ...this.#retired];
  }

  get isEmpty(): boolean {
    return this.#current === undefined && this.#dialling === undefined;
  }

  dial(): void {
    const avoid = this.#current?.address ?? this.#lastAddress;
    this.#dialling = this.#options.dial(avoid, this.#current !== undefined);
  }

  /** Closes everything at once. */
  close(): void {
    this.#isClosed = true;
    this.#stopTimer();
    // This may promote the candidate, which is closed next. A closed slot starts no timer for it.
    for (const connection of this.connections) connection.close();
  }

  /** The dial has ended in a connection. */
  opened(connection: Connection): void {
    this.#dialling = undefined;
    this.#lastAddress = connection.address;
    this.#candidate = connection;
    // A connection that replaces none is in use at once.
    if (this.#current === undefined) this.#promote(connection);
  }

  acknowledged(connection: Connection): void {
    if (connection === this.#candidate) this.#promote(connection);
  }

  /** The dial has ended without a connection; `isFault`: it failed. Else it was cancelled. */
  dialEnded(isFault: boolean): void {
    this.#dialling = undefined;
    if (this.isEmpty) this.#stopTimer();
    else if (isFault) this.#retryRotation();
  }

  /** Whether a fault of this connection only makes a rotation fail, and the connection in use works. */
  isRotation(connection: Connecting | Connection): boolean {
    return this.#current !== undefined && (connection === this.#candidate || connection === this.#dialling);
  }

  /** The connection takes no more chunks because of a fault. */
  failed(connection: Connection): void {
    const isRotation = this.isRotation(connection);
    this.#leave(connection);
    if (connection.state === 'retiring') this.#keepDraining(connection);
    if (isRotation) this.#retryRotation();
  }

  closed(connection: Connection): void {
    this.#leave(connection);
    this.#retired.delete(connection);
    if (this.isEmpty) this.#stopTimer();
  }

  #stopTimer(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #leave(connection: Connection): void {
    if (connection === this.#candidate) this.#candidate = undefined;
    if (connection !== this.#current) return;
    this.#current = undefined;
    if (this.#candidate !== undefined) this.#promote(this.#candidate);
  }

  /** Tries the next address at once. If there is none, waits for the end of the interval. */
  #retryRotation(): void {
    const { clock, mayDial, mayReturn } = this.#options;
    const address = this.#current?.address;
    if (this.#isReturning) {
      if (address !== undefined && mayReturn(address)) this.#rotate(true);
      else this.#schedule(this.#rotateAt - clock.now());
    } else if (mayDial(address)) this.#rotate(false);
    else this.#schedule(this.#jittered());
  }

  #keepDraining(connection: Connection): void {
    this.#retired.add(connection);
    if (this.#retired.size > MAX_RETIRED) this.#retired.values().next().value?.close();
  }

  #promote(next: Connection): void {
    const old = this.#current;
    this.#current = next;
    this.#candidate = undefined;
    const { rotationIntervalMillis: interval, firstRotation, random, onRotated } = this.#options;
    if (old === undefined) {
      const { from, to } = firstRotation;
      this.#schedule(interval * (to - (to - from) * random()));
      return;
    }
    this.#schedule(this.#jittered());
    onRotated(old, next);
    this.#keepDraining(old);
    old.retire();
  }

  #jittered(): number {
    const { rotationIntervalMillis, random } = this.#options;
    return rotationIntervalMillis * (1 - JITTER + 2 * JITTER * random());
  }

  /** Rotates after `millis`, or earlier if the connection can return from a standby to a preferred address. */
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

  /** The interval is over, or the connection may return. Closes connections that were idle for two intervals. */
  #due(): void {
    const current = this.#current;
    if (current === undefined) return;
    const { clock, rotationIntervalMillis: interval } = this.#options;
    const isBusy = this.usable.some(({ inFlight }) => inFlight > 0);
    const idleMillis = isBusy ? 0 : clock.now() - current.lastSentAt;
    if (interval > 0 && idleMillis >= 2 * interval) {
      this.#dialling?.close();
      this.#candidate?.close();
      current.close();
      return;
    }
    // Timers have whole milliseconds.
    const untilRotation = this.#rotateAt - clock.now();
    const isRotation = untilRotation < 1;
    const mayReturn = this.#options.mayReturn(current.address);
    if (isRotation || mayReturn) this.#rotate(!isRotation);
    if (!isRotation) this.#schedule(untilRotation);
    else this.#schedule(idleMillis >= interval ? 2 * interval - idleMillis : this.#jittered());
  }

  #rotate(isReturning: boolean): void {
    const isRotating = this.#dialling !== undefined || this.#candidate !== undefined;
    if (this.#current === undefined || isRotating || this.#isClosed || this.#retired.size >= MAX_DRAINING) return;
    this.#isReturning = isReturning;
    this.dial();
  }
}
