import { backoffDelay } from '../backoff-delay.ts';
import type { Clock, Timer } from '../clock.ts';
import type { Config } from '../config/config.ts';
import { urlsOf } from '../config/endpoint.ts';
import type { Diagnostics } from '../diagnostics.ts';
import type { Chunk } from '../encode/chunk.ts';
import type { Address } from '../endpoint/address.ts';
import { Addresses } from '../endpoint/addresses.ts';
import { StrideScheduler } from '../endpoint/stride-scheduler.ts';
import type { FluentForwardConnectionError } from '../errors.ts';
import type { AddressStats, ConnectionStats, Counters } from '../stats.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';
import { Connection } from './connection.ts';
import { Credentials } from './credentials.ts';
import { Slot, type SlotObserver } from './slot.ts';

export interface PoolOptions {
  readonly config: Config;
  readonly clock: Clock;
  readonly random: () => number;
  readonly diagnostics: Diagnostics;
  readonly counters: Counters;
  readonly telemetry: Telemetry;
}

export interface PoolObserver {
  /** Records of the chunks that are not on a connection. */
  readonly waitingRecords: number;
  /** A connection may take chunks that could not before, or a backoff is over. */
  onCapacity(): void;
  acknowledged(connection: Connection, chunk: Chunk, latencyMillis: number): void;
  /**
   * The chunk has to be sent again; a late ack is still reported. `isSuspect`: the receiver had to answer this chunk
   * next, so the chunk itself may be the reason.
   */
  unacknowledged(connection: Connection, chunk: Chunk, error: FluentForwardConnectionError, isSuspect: boolean): void;
}

/** From the first fault after an ack to the next ack. */
interface Outage {
  readonly since: number;
  /** What the counters said at its begin. */
  readonly resentBefore: number;
  readonly failedBefore: number;
  /** Whether a warning has told of it, so that its end is of interest too. */
  isTold: boolean;
  end: { readonly at: number; readonly place: string } | undefined;
}

/** The connections to the endpoints: keeps `connections` of them, and says which one takes a chunk. */
export class ConnectionPool implements SlotObserver {
  readonly #options: PoolOptions;
  readonly #addresses: Addresses;
  readonly #credentials: Credentials;
  readonly #slots: readonly Slot[];
  /** Invariant: set before the first connection. */
  #observer!: PoolObserver;
  readonly #schedule = new StrideScheduler();
  /** Failures since the last ack. */
  #failures = 0;
  #outage: Outage | undefined;
  /** In a row, since the last ack or the end of the last backoff. */
  #failedDials = 0;
  #lastError: FluentForwardConnectionError | undefined;
  #retryAt = Number.NEGATIVE_INFINITY;
  #retryTimer: Timer | undefined;
  /** How many connections there have been. */
  #dials = 0;
  /** Whether one of them was open. */
  #hasConnected = false;
  #isClosed = false;

  constructor(options: PoolOptions) {
    this.#options = options;
    const { config, clock, random, diagnostics, telemetry } = options;
    const { endpoint: endpoints, resolver, connectTimeoutMillis, connections } = config;
    this.#addresses = new Addresses({
      endpoints,
      resolver,
      tlsServerName: config.tls.serverName,
      connectTimeoutMillis,
      clock,
      random,
      diagnostics,
    });
    this.#credentials = new Credentials({ config, clock, diagnostics });
    this.#slots = Array.from(
      { length: connections },
      (_, i) =>
        new Slot({
          rotationIntervalMillis: config.rotationIntervalMillis,
          clock,
          random,
          firstRotation: { from: i / connections, to: (i + 1) / connections },
          connect: (avoid, isReplaced, observer) =>
            new Connection({
              id: this.#dials++,
              endpoints: urlsOf(endpoints),
              acquire: () => this.#addresses.acquire(avoid, isReplaced),
              release: (address) => this.#addresses.release(address),
              credentials: this.#credentials,
              connectTimeoutMillis,
              ackTimeoutMillis: config.ackTimeoutMillis,
              maxInFlightChunks: config.maxInFlightChunks,
              pass: this.#schedule.join(0, 1),
              clock,
              telemetry,
              observer,
            }),
          mayDial: (other) => this.#mayDial(other),
          mayReturn: (address) => this.#addresses.mayReturn(address),
          returnMillis: (address) => this.#addresses.returnMillis(address),
          observer: this,
        }),
    );
  }

  /** Sets who hears of the connections. To be called once, before {@link connect}. */
  observe(observer: PoolObserver): void {
    this.#observer = observer;
  }

  /** Whether chunks that failed, and dials without a healthy address, have to wait. */
  get isBackingOff(): boolean {
    return this.#options.clock.now() < this.#retryAt;
  }

  /**
   * The connection for a chunk: the least in flight for its address's weight, an idle one before all
   * others, among equals the one whose turn it is. It has not had the chunk before: a
   * connection that leaves a chunk unanswered takes no more (`Connection.#giveBack`).
   */
  pick(): Connection | undefined {
    let best: Connection | undefined;
    for (const slot of this.#slots) {
      for (const connection of [slot.current, slot.candidate]) {
        if (connection === undefined || !connection.canTake) continue;
        if (best === undefined || isBefore(connection, best)) best = connection;
      }
    }
    return best;
  }

  send(connection: Connection, chunk: Chunk): void {
    connection.pass = this.#schedule.use(connection.pass, weightOf(connection));
    connection.send(chunk);
  }

  /** Dials for the slots without a connection: chunks are waiting. */
  connect(): void {
    if (this.#isClosed) return;
    // A backoff is over: every address may be tried once before the next.
    if (this.#failedDials > 0 && this.#isRoundOver && !this.isBackingOff) this.#failedDials = 0;
    for (const slot of this.#slots) {
      if (!slot.isEmpty) continue;
      const mayDial = this.#mayDial();
      if (!mayDial && this.isBackingOff) {
        this.wakeAfterBackoff();
        return;
      }
      // Where nothing can be trusted one connection tries before others follow.
      const isTrial = !mayDial || !this.#addresses.hasTrusted;
      if (isTrial && this.#slots.some((other) => !other.isEmpty && !other.current?.isProven)) return;
      slot.dial();
    }
  }

  /** Whether there is a healthy address to dial, `other` left out of account, and no run of failed dials. */
  #mayDial(other?: Address): boolean {
    return !this.#isRoundOver && this.#addresses.hasHealthy(other);
  }

  /** Whether as many dials in a row have failed as there are addresses: whatever the lookups give, the backoff holds. */
  get #isRoundOver(): boolean {
    return this.#failedDials >= this.#addresses.all.length;
  }

  /** Calls `onCapacity` of the observer when the backoff ends. */
  wakeAfterBackoff(): void {
    if (this.#retryTimer !== undefined) return;
    const { clock } = this.#options;
    this.#retryTimer = clock.after(Math.max(0, this.#retryAt - clock.now()), () => {
      this.#retryTimer = undefined;
      this.#observer.onCapacity();
    });
  }

  /** Ends the backoff. */
  retryNow(): void {
    this.#endBackoff();
    this.#observer.onCapacity();
  }

  #endBackoff(): void {
    this.#retryAt = Number.NEGATIVE_INFINITY;
    this.#retryTimer?.cancel();
    this.#retryTimer = undefined;
  }

  close(): void {
    this.#isClosed = true;
    this.#retryTimer?.cancel();
    for (const slot of this.#slots) slot.close();
    this.#addresses.close();
    this.#credentials.close();
  }

  get connectionStats(): ConnectionStats[] {
    return this.#slots.flatMap(({ connections }) => connections.map(({ stats }) => stats));
  }

  get addressStats(): AddressStats[] {
    return this.#addresses.stats;
  }

  /** The last fault, while there has been no ack since. */
  get lastError(): FluentForwardConnectionError | undefined {
    return this.#lastError;
  }

  onCapacity(): void {
    this.#observer.onCapacity();
  }

  opened(connection: Connection): void {
    const { diagnostics } = this.#options;
    const message = `connected to ${connection.place}`;
    // Rotations would tell it every minute.
    if (this.#hasConnected) diagnostics.debug(message);
    else diagnostics.info(message);
    this.#hasConnected = true;
    this.#observer.onCapacity();
  }

  acknowledged(connection: Connection, chunk: Chunk, latencyMillis: number): void {
    this.#failedDials = 0;
    if (connection.address !== undefined) this.#addresses.succeeded(connection.address);
    if (this.#lastError !== undefined) this.#recovered(connection);
    this.#observer.acknowledged(connection, chunk, latencyMillis);
  }

  unacknowledged(...reported: Parameters<PoolObserver['unacknowledged']>): void {
    this.#observer.unacknowledged(...reported);
  }

  failed(
    connection: Connection,
    error: FluentForwardConnectionError,
    chunks: readonly Chunk[],
    isHarmless: boolean,
  ): void {
    const { clock, counters, diagnostics, random } = this.#options;
    const { address, dialledAt } = connection;
    const isNews = address === undefined || address.health.failed(dialledAt);
    const isDial = isDialFailure(error);
    // Of one endpoint, so that another's fault is no reason to keep silent.
    const cause = `${error.code} of ${address?.endpoint.url}`;
    counters.connectionFaults.add(error.code);
    if (isDial && isNews) this.#failedDials++;
    const needsBackoff = isDial ? this.#isRoundOver : !hasWaited(error);
    if (!isHarmless) {
      this.#lastError = error;
      counters.fault(error, clock.wallTime());
    }
    if (isHarmless || (isDial && !needsBackoff)) {
      const message = `${error.message}; ${isHarmless ? 'the connection in use stays' : 'another address is tried'}`;
      if (needsOperator(error)) diagnostics.warn(cause, message);
      else diagnostics.debug(message);
      return;
    }
    if (needsBackoff && !this.isBackingOff) {
      this.#failures++;
      this.#retryAt = clock.now() + backoffDelay(this.#failures, random);
    }
    this.#outage ??= {
      since: clock.now(),
      resentBefore: counters.resent.records,
      failedBefore: counters.failedRecords,
      isTold: false,
      end: undefined,
    };
    const isLogged = diagnostics.warn(cause, () => `${error.message}; ${this.#nextStep(chunks)}`);
    if (isLogged) this.#outage.isTold = true;
  }

  /** `lost`: with a connection that has failed. */
  #nextStep(lost: readonly Chunk[]): string {
    const { clock } = this.#options;
    const wait = Math.ceil(this.#retryAt - clock.now());
    if (lost.length > 0) {
      const records = lost.reduce((sum, chunk) => sum + chunk.records, 0);
      const resent = `${records} unacknowledged record(s) in ${lost.length} chunk(s) will be sent again`;
      return wait > 0 ? `${resent} in ${wait} ms` : resent;
    }
    const { waitingRecords } = this.#observer;
    if (waitingRecords > 0) {
      return `${waitingRecords} record(s) wait, and ${wait > 0 ? `the next try is in ${wait} ms` : 'another connection is opened'}`;
    }
    return 'another connection is opened when there are records to send';
  }

  rotated(from: Connection, to: Connection): void {
    const { counters, diagnostics, telemetry } = this.#options;
    counters.rotations++;
    telemetry.rotated(from, to);
    diagnostics.debug(`rotated from ${from.place} to ${to.place}`);
  }

  /** Logs the end of an outage. To be called when the chunks of lost connections are sent again. */
  reportRecovery(): void {
    const outage = this.#outage;
    if (outage?.end === undefined) return;
    this.#outage = undefined;
    if (!outage.isTold) return;
    const { counters, diagnostics } = this.#options;
    const seconds = ((outage.end.at - outage.since) / 1000).toFixed(1);
    const resent = counters.resent.records - outage.resentBefore;
    const failed = counters.failedRecords - outage.failedBefore;
    diagnostics.info(
      `connected to ${outage.end.place} again after ${seconds} s, ${resent} records resent, ${failed} failed`,
    );
  }

  #recovered({ place }: Connection): void {
    this.#lastError = undefined;
    this.#failures = 0;
    this.#endBackoff();
    if (this.#outage !== undefined) this.#outage.end = { at: this.#options.clock.now(), place };
  }
}

function isBefore(a: Connection, b: Connection): boolean {
  const [loadOfA, loadOfB] = [a.inFlight / weightOf(a), b.inFlight / weightOf(b)];
  return loadOfA < loadOfB || (loadOfA === loadOfB && a.pass < b.pass);
}

function weightOf({ address }: Connection): number {
  return address?.weight ?? 1;
}

function isDialFailure(error: FluentForwardConnectionError): boolean {
  switch (error.code) {
    case 'FLUENT_FORWARD_LOOKUP_FAILED':
    case 'FLUENT_FORWARD_CONNECT_FAILED':
    case 'FLUENT_FORWARD_CONNECT_TIMEOUT':
      return true;
    default:
      return needsOperator(error);
  }
}

/** Whether it probably stays so until somebody has looked at certificates, keys or the server. */
function needsOperator({ code }: FluentForwardConnectionError): boolean {
  switch (code) {
    case 'FLUENT_FORWARD_CREDENTIALS_UNREADABLE':
    case 'FLUENT_FORWARD_TLS_FAILED':
    case 'FLUENT_FORWARD_AUTH_FAILED':
    case 'FLUENT_FORWARD_SERVER_UNTRUSTED':
      return true;
    default:
      return false;
  }
}

/** A chunk that was not acknowledged in time need not wait once more. */
function hasWaited({ code }: FluentForwardConnectionError): boolean {
  return code === 'FLUENT_FORWARD_ACK_TIMEOUT' || code === 'FLUENT_FORWARD_ACK_SKIPPED';
}
