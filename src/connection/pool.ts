import type { Clock } from '../clock.ts';
import type { ConnectionConfig } from '../config/config.ts';
import { urlsOf } from '../config/endpoint.ts';
import type { Diagnostics } from '../diagnostics.ts';
import type { Chunk } from '../encode/chunk.ts';
import type { Address } from '../endpoint/address.ts';
import type { Addresses } from '../endpoint/addresses.ts';
import { StrideScheduler } from '../endpoint/stride-scheduler.ts';
import { FluentForwardConnectionError } from '../errors.ts';
import type { AddressStats, ConnectionStats, Counters } from '../stats.ts';
import type { OutageReport } from '../telemetry/outage-report.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';
import { Backoff } from './backoff.ts';
import { Connecting } from './connecting.ts';
import { Connection } from './connection.ts';
import type { ConnectionEvent, Unacknowledged } from './connection-event.ts';
import type { Credentials } from './credentials.ts';
import type { OpenSocket } from './dial.ts';
import type { Failure } from './failure.ts';
import { FAULTS } from './faults.ts';
import { Slot } from './slot.ts';

export interface PoolOptions {
  readonly config: ConnectionConfig;
  readonly addresses: Addresses;
  readonly credentials: Credentials;
  readonly outage: OutageReport;
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
   * The chunk has to be sent again; a late ack is still reported. `isSuspect`: the receiver had to acknowledge this
   * chunk next, so the chunk itself may be the reason.
   */
  unacknowledged(connection: Connection, chunk: Chunk, error: FluentForwardConnectionError, isSuspect: boolean): void;
}

/** The connections to the endpoints: keeps `connections` of them, and chooses one for each chunk. */
export class ConnectionPool {
  readonly #options: PoolOptions;
  readonly #slots: readonly Slot[];
  readonly #schedule = new StrideScheduler();
  readonly #backoff: Backoff;
  /** Failed dials in a row, since the last ack or since the end of the last backoff. */
  #failedDials = 0;
  #lastError: FluentForwardConnectionError | undefined;
  /** When a dial failed before it had an address. Reset by the next connection. */
  #noAddressAt = Number.NEGATIVE_INFINITY;
  /** How many dials there have been. */
  #dials = 0;
  #isClosed = false;
  /** Invariant: set before the first dial. */
  #observer!: PoolObserver;

  constructor(options: PoolOptions) {
    this.#options = options;
    const { addresses, clock, config, counters, diagnostics, random, telemetry } = options;
    const { connections, rotationIntervalMillis } = config;
    this.#backoff = new Backoff({ clock, random, onEnd: () => this.#observer.onCapacity() });
    this.#slots = Array.from({ length: connections }, (_, i) => {
      const slot: Slot = new Slot({
        rotationIntervalMillis,
        clock,
        random,
        firstRotation: { from: i / connections, to: (i + 1) / connections },
        dial: (avoid, isReplaced) => this.#dial(slot, avoid, isReplaced),
        mayDial: (other) => this.#mayDial(other),
        mayReturn: (address) => addresses.mayReturn(address),
        returnMillis: (address) => addresses.returnMillis(address),
        onRotated: (from, to) => {
          counters.rotations++;
          telemetry.rotated(from, to);
          diagnostics.debug(`rotated from ${from.place} to ${to.place}`);
        },
      });
      return slot;
    });
  }

  /** Sets who hears of the connections. To be called once, before {@link connect}. */
  observe(observer: PoolObserver): void {
    this.#observer = observer;
  }

  /** Whether chunks that failed, and dials without a healthy address, have to wait. */
  get isBackingOff(): boolean {
    return this.#backoff.isRunning;
  }

  /**
   * Returns the connection for a chunk: the one with the fewest chunks in flight for the weight of its address, among
   * equals the next in the schedule. Never returns a connection that already tried the chunk: a connection that leaves
   * a chunk unacknowledged takes no more chunks.
   */
  pick(): Connection | undefined {
    let best: Connection | undefined;
    for (const slot of this.#slots) {
      for (const connection of slot.usable) {
        if (connection.canTake && (best === undefined || isBefore(connection, best))) best = connection;
      }
    }
    return best;
  }

  send(connection: Connection, chunk: Chunk): void {
    connection.pass = this.#schedule.use(connection.pass, connection.address.weight);
    connection.send(chunk);
  }

  /** Dials for the slots without a connection. To be called while chunks wait. */
  connect(): void {
    if (this.#isClosed) return;
    // After a backoff every address may be tried once before the next one.
    if (this.#failedDials > 0 && this.#isRoundOver && !this.isBackingOff) this.#failedDials = 0;
    for (const slot of this.#slots) {
      if (!slot.isEmpty) continue;
      const mayDial = this.#mayDial();
      if (!mayDial && this.isBackingOff) {
        this.wakeAfterBackoff();
        return;
      }
      // While no address can be trusted, one connection tries before others follow.
      const isTrial = !mayDial || !this.#options.addresses.hasTrusted;
      if (isTrial && this.#slots.some((other) => !other.isEmpty && !other.current?.isProven)) return;
      slot.dial();
    }
  }

  /** Calls `onCapacity` of the observer when the backoff ends. */
  wakeAfterBackoff(): void {
    this.#backoff.wakeAtEnd();
  }

  /** Ends the backoff. */
  retryNow(): void {
    this.#backoff.end();
    this.#observer.onCapacity();
  }

  /** Logs the end of an outage. To be called when the chunks of lost connections are sent again. */
  reportRecovery(): void {
    this.#options.outage.reportRecovery();
  }

  /** Whether, within the last `millis`, the last dial to every address has failed. */
  hasFailedWithin(millis: number): boolean {
    const since = this.#options.clock.now() - millis;
    const { all } = this.#options.addresses;
    const hasFailed = ({ dialFailedAt }: Address) => dialFailedAt !== undefined && dialFailedAt >= since;
    return this.#noAddressAt >= since || (all.length > 0 && all.every(hasFailed));
  }

  /** Closes the connections. Chunks that come later open others. */
  hangUp(): void {
    for (const { connections } of this.#slots) for (const connection of connections) connection.close();
  }

  close(): void {
    this.#isClosed = true;
    this.#backoff.end();
    for (const slot of this.#slots) slot.close();
    this.#options.addresses.close();
    this.#options.credentials.close();
  }

  get connectionStats(): ConnectionStats[] {
    return this.#slots.flatMap(({ connections }) => connections.map(({ stats }) => stats));
  }

  get addressStats(): AddressStats[] {
    return this.#options.addresses.stats;
  }

  /** The last fault, if there has been no ack since. */
  get lastError(): FluentForwardConnectionError | undefined {
    return this.#lastError;
  }

  /** Whether there is a healthy address to dial other than `other`, and not all addresses have just failed. */
  #mayDial(other?: Address): boolean {
    return !this.#isRoundOver && this.#options.addresses.hasHealthy(other);
  }

  /** Whether as many dials in a row have failed as there are addresses. Then the backoff holds. */
  get #isRoundOver(): boolean {
    return this.#failedDials >= this.#options.addresses.all.length;
  }

  #dial(slot: Slot, avoid: Address | undefined, isReplaced: boolean): Connecting {
    const { addresses, clock, config, credentials } = this.#options;
    const connecting: Connecting = new Connecting({
      id: this.#dials++,
      endpoints: urlsOf(config.endpoint),
      findAddress: () => addresses.acquire(avoid, isReplaced),
      release: (address) => addresses.release(address),
      credentials,
      connectTimeoutMillis: config.connectTimeoutMillis,
      clock,
      onOpen: (opened) => this.#opened(slot, connecting, opened),
      onFailure: (failure) => this.#dialEnded(slot, connecting, failure),
    });
    return connecting;
  }

  #opened(slot: Slot, { id, dialledAt }: Connecting, opened: OpenSocket): void {
    const { clock, config, outage, telemetry } = this.#options;
    const connection = new Connection({
      id,
      dialledAt,
      opened,
      ackTimeoutMillis: config.ackTimeoutMillis,
      maxInFlightChunks: config.maxInFlightChunks,
      clock,
      onEvent: (event) => this.#onEvent(slot, connection, event),
    });
    connection.pass = this.#schedule.join(0, 1);
    opened.address.dialFailedAt = undefined;
    this.#noAddressAt = Number.NEGATIVE_INFINITY;
    // First, because subscribers can shut the exporter down: the slot then closes what it knows.
    slot.opened(connection);
    telemetry.opened(connection, clock.now() - dialledAt);
    outage.connected(connection.place);
    this.#observer.onCapacity();
    connection.start();
  }

  #dialEnded(slot: Slot, connecting: Connecting, { code, reason, cause }: Failure): void {
    const { clock, telemetry } = this.#options;
    const error = new FluentForwardConnectionError(code, `${connecting.place}: ${reason}`, cause);
    const isFault = FAULTS[code].isFault === 'always';
    if (isFault) this.#failed(connecting, error, [], slot.isRotation(connecting));
    slot.dialEnded(isFault);
    if (isFault) telemetry.dialFailed(error, clock.now() - connecting.dialledAt);
    telemetry.closed(connecting, error);
    this.#observer.onCapacity();
  }

  #onEvent(slot: Slot, connection: Connection, event: ConnectionEvent): void {
    switch (event.kind) {
      case 'acknowledged':
        this.#acknowledged(slot, connection, event);
        break;
      case 'failed':
        this.#connectionFailed(slot, connection, event);
        this.#reportUnacknowledged(connection, event);
        break;
      case 'closed':
        if (event.isFault) this.#connectionFailed(slot, connection, event);
        this.#options.addresses.release(connection.address);
        this.#options.telemetry.closed(connection, event.error);
        this.#reportUnacknowledged(connection, event);
        slot.closed(connection);
        this.#observer.onCapacity();
        break;
    }
  }

  #acknowledged(
    slot: Slot,
    connection: Connection,
    { chunk, isFirst, latencyMillis }: Extract<ConnectionEvent, { kind: 'acknowledged' }>,
  ): void {
    const { addresses, outage, telemetry } = this.#options;
    if (isFirst) telemetry.ready(connection);
    slot.acknowledged(connection);
    addresses.succeeded(connection.address);
    connection.address.dialFailedAt = undefined;
    this.#failedDials = 0;
    if (this.#lastError !== undefined) {
      this.#lastError = undefined;
      this.#backoff.reset();
      outage.recovered(connection.place);
    }
    this.#observer.acknowledged(connection, chunk, latencyMillis);
  }

  #connectionFailed(
    slot: Slot,
    connection: Connection,
    { error, unacknowledged }: Pick<Extract<ConnectionEvent, { kind: 'failed' }>, 'error' | 'unacknowledged'>,
  ): void {
    this.#failed(connection, error, unacknowledged, slot.isRotation(connection) && unacknowledged.length === 0);
    slot.failed(connection);
  }

  #reportUnacknowledged(
    connection: Connection,
    { error, unacknowledged }: Pick<Extract<ConnectionEvent, { kind: 'failed' }>, 'error' | 'unacknowledged'>,
  ): void {
    for (const { chunk, isSuspect } of unacknowledged) {
      this.#observer.unacknowledged(connection, chunk, error, isSuspect);
    }
  }

  /** `isHarmless`: only a rotation has failed, and the connection in use works. */
  #failed(
    { address, dialledAt }: Connecting | Connection,
    error: FluentForwardConnectionError,
    unacknowledged: readonly Unacknowledged[],
    isHarmless: boolean,
  ): void {
    const { clock, counters, diagnostics, outage } = this.#options;
    const { isDialFailure, needsOperator, resendsAtOnce } = FAULTS[error.code];
    const isNews = address === undefined || address.health.failed(dialledAt);
    counters.connectionFaults.add(error.code);
    if (isDialFailure) this.#dialFailed(address, isNews);
    if (!isHarmless) {
      this.#lastError = error;
      counters.fault(error, clock.wallTime());
    }
    // One endpoint's warnings must not suppress those of another.
    const cause = `${error.code} of ${address?.endpoint.url}`;
    const hasNextAddress = isDialFailure && !this.#isRoundOver;
    if (isHarmless || hasNextAddress) {
      const message = `${error.message}; ${isHarmless ? 'the connection in use stays' : 'another address is tried'}`;
      if (needsOperator) diagnostics.warn(cause, message);
      else diagnostics.debug(message);
      return;
    }
    if (isDialFailure || !resendsAtOnce) this.#backoff.fail();
    outage.fault(cause, () => `${error.message}; ${this.#nextStep(unacknowledged)}`);
  }

  #dialFailed(address: Address | undefined, isNews: boolean): void {
    const now = this.#options.clock.now();
    if (address === undefined) this.#noAddressAt = now;
    else address.dialFailedAt = now;
    if (isNews) this.#failedDials++;
  }

  /** Says what happens next, for messages. */
  #nextStep(unacknowledged: readonly Unacknowledged[]): string {
    const wait = this.#backoff.remainingMillis;
    if (unacknowledged.length > 0) {
      const records = unacknowledged.reduce((sum, { chunk }) => sum + chunk.records, 0);
      const resent = `${records} unacknowledged record(s) in ${unacknowledged.length} chunk(s) will be sent again`;
      return wait > 0 ? `${resent} in ${wait} ms` : resent;
    }
    const { waitingRecords } = this.#observer;
    if (waitingRecords > 0) {
      return `${waitingRecords} record(s) wait, and ${wait > 0 ? `the next try is in ${wait} ms` : 'another connection is opened'}`;
    }
    return 'another connection is opened when there are records to send';
  }
}

function isBefore(a: Connection, b: Connection): boolean {
  const [loadOfA, loadOfB] = [a.inFlight / a.address.weight, b.inFlight / b.address.weight];
  return loadOfA < loadOfB || (loadOfA === loadOfB && a.pass < b.pass);
}
