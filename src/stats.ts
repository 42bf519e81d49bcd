import type { WallTime } from './clock.ts';
import type { ConnectionErrorCode, ExportErrorCode, FluentForwardConnectionError } from './errors.ts';
import type { SeverityCounts } from './severity.ts';

/** Records, and the bytes of the messages that carry them. */
export interface Volume {
  readonly records: number;
  /** As on the wire, compressed or not. */
  readonly bytes: number;
  /** What they would be without compression. */
  readonly rawBytes: number;
}

/** One connection, as it is now. */
export interface ConnectionStats {
  /** The endpoint that its address belongs to; `undefined` while a name is looked up. */
  readonly endpoint: string | undefined;
  /** `host:port` or the socket's path; `undefined` while a name is looked up. */
  readonly address: string | undefined;
  /** `retiring`: it takes no more chunks and waits for its outstanding acks. */
  readonly state: 'connecting' | 'open' | 'retiring' | 'closed';
  /** Milliseconds since its dial began. */
  readonly ageMillis: number;
  /** Chunks that wait for their acks on it. */
  readonly inFlightChunks: number;
}

/** One address, and what is known of the receiver behind it. */
export interface AddressStats {
  readonly endpoint: string;
  /** `host:port` or the socket's path. */
  readonly address: string;
  readonly isStandby: boolean;
  readonly weight: number;
  /** `unproven`: it failed, and may be tried again by one connection. `ejected`: left out while others are healthy. */
  readonly health: 'healthy' | 'unproven' | 'ejected';
  /** Failures since its last ack. */
  readonly failures: number;
  /** Milliseconds until it may be tried again; 0 when it may now. */
  readonly ejectedForMillis: number;
  readonly connections: number;
}

/** Why a processor has dropped a record. */
export type DropReason =
  /** `maxInFlightBytes` was three quarters full, and the record's severity was below WARN. */
  | 'shed'
  /** `maxInFlightBytes` was reached. */
  | 'memory'
  /** The record could not be encoded, or is too large for any receiver. */
  | 'unencodable'
  /** Receivers refused its chunk: it went unacknowledged on five connections, and later chunks were acknowledged there. */
  | 'refused'
  /** Reserved for a processor without a usable endpoint. */
  | 'no_endpoint'
  /** It came after `shutdown()`, or was not acknowledged when `shutdown()` had to end. */
  | 'shut_down'
  /** The process ended before it was acknowledged. */
  | 'process_end'
  /** Reserved for a spool that is full. */
  | 'spool_full'
  /** Reserved for records that were in a spool for too long. */
  | 'spool_age';

/** What an exporter or a processor has done so far, and its present state. Numbers count from its construction. */
export interface FluentForwardStats {
  /** Handed to a connection, each chunk once. */
  readonly sent: Volume;
  /** Acknowledged by a receiver, each chunk once. */
  readonly acknowledged: Volume;
  /** Handed to a connection once more; each time counts. */
  readonly resent: Volume;
  /**
   * Chunks that were given up, by the code of the error. An exporter gives a chunk up when its export fails. Records that
   * it has refused before they were encoded are here too, and have no bytes. A processor gives a chunk up as `refused`,
   * `shut_down` or `process_end`.
   */
  readonly failed: Readonly<Partial<Record<ExportErrorCode, Volume>>>;
  /** Records that could not be encoded. */
  readonly droppedRecords: number;
  /** Records that the layout function left out. */
  readonly filteredRecords: number;
  /** Memory that waits for acks, or is being compressed; see `maxInFlightBytes`. */
  readonly inFlightBytes: number;
  /** Connections replaced because of their age, or to leave a standby. */
  readonly rotations: number;
  /** The last fault of a connection, also when all is well again. */
  readonly lastError: { readonly code: ConnectionErrorCode; readonly message: string; readonly time: Date } | undefined;
  readonly connections: readonly ConnectionStats[];
  readonly addresses: readonly AddressStats[];
}

/** Records that are not settled. */
export interface HeldRecords {
  readonly records: number;
  readonly bytes: number;
}

/**
 * What a processor has done so far, and its present state. At every moment, `emitted + recovered` is the sum of
 * `acknowledged.records`, `filtered`, all of `dropped`, `held.records` and `spooled.records`: each record is in exactly
 * one of these numbers.
 *
 * The numbers that an exporter has too count some of these records again. Do not add them: the records of `failed` are
 * also in `dropped.refused`, `dropped.shut_down` or `dropped.process_end`, `droppedRecords` is `dropped.unencodable`, and
 * `filteredRecords` is `filtered`.
 */
export interface FluentForwardProcessorStats extends FluentForwardStats {
  /** Records that `onEmit()` was called with. */
  readonly emitted: number;
  /** Reserved for records that a spool holds from earlier processes; 0. */
  readonly recovered: number;
  /** Records that the layout function left out. */
  readonly filtered: number;
  readonly dropped: Readonly<Record<DropReason, number>>;
  /** Records in memory: in open chunks, waiting, or sent and not acknowledged. `bytes` is the memory that they use. */
  readonly held: HeldRecords;
  /** Reserved for records in a spool; 0. */
  readonly spooled: HeldRecords;
}

/** A volume that grows. */
export class Tally implements Volume {
  records = 0;
  bytes = 0;
  rawBytes = 0;

  add({ records, bytes, rawBytes }: Volume): void {
    this.records += records;
    this.bytes += bytes;
    this.rawBytes += rawBytes;
  }

  get snapshot(): Volume {
    return { records: this.records, bytes: this.bytes, rawBytes: this.rawBytes };
  }
}

/** Numbers of what has happened, by its kind. */
class Counts<Kind> extends Map<Kind, number> {
  add(kind: Kind): void {
    this.set(kind, (this.get(kind) ?? 0) + 1);
  }
}

/** What is counted on the way of the records. */
export class Counters {
  readonly sent: Tally = new Tally();
  readonly acknowledged: Tally = new Tally();
  readonly resent: Tally = new Tally();
  /** Of exports without a result. */
  inFlightRecords = 0;
  /** Acknowledged ones, of exports that have their results. */
  exportedRecords = 0;
  droppedRecords = 0;
  /** Records that a processor has got. */
  emittedRecords = 0;
  /** Records in chunks, or being encoded, that are not settled. */
  heldRecords = 0;
  /** Those of the dropped ones that no message can hold. */
  oversizeRecords = 0;
  filteredRecords = 0;
  rotations = 0;
  /** By why they had no ack before. */
  readonly resentChunks: Counts<ConnectionErrorCode> = new Counts();
  readonly connectionFaults: Counts<ConnectionErrorCode> = new Counts();
  /** Records that a processor has dropped. */
  readonly dropped: Record<DropReason, number> = {
    shed: 0,
    memory: 0,
    unencodable: 0,
    refused: 0,
    no_endpoint: 0,
    shut_down: 0,
    process_end: 0,
    spool_full: 0,
    spool_age: 0,
  };
  readonly #failed = new Map<ExportErrorCode, Tally>();
  #lastError: FluentForwardStats['lastError'];

  /** A held chunk is acknowledged. */
  acknowledge(volume: Volume): void {
    this.acknowledged.add(volume);
    this.heldRecords -= volume.records;
  }

  /** Held records are dropped. */
  drop(reason: DropReason, { total }: SeverityCounts): void {
    this.heldRecords -= total;
    this.dropped[reason] += total;
  }

  failed(code: ExportErrorCode, volume: Volume): void {
    const tally = this.#failed.get(code) ?? new Tally();
    this.#failed.set(code, tally);
    tally.add(volume);
  }

  fault({ code, message }: FluentForwardConnectionError, [seconds, nanoseconds]: WallTime): void {
    this.#lastError = { code, message, time: new Date(seconds * 1000 + nanoseconds / 1e6) };
  }

  get failures(): ReadonlyMap<ExportErrorCode, Volume> {
    return this.#failed;
  }

  get failedRecords(): number {
    let records = 0;
    for (const tally of this.#failed.values()) records += tally.records;
    return records;
  }

  get snapshot(): Omit<FluentForwardStats, 'inFlightBytes' | 'connections' | 'addresses'> {
    const failed = Object.fromEntries([...this.#failed].map(([code, tally]) => [code, tally.snapshot]));
    return {
      sent: this.sent.snapshot,
      acknowledged: this.acknowledged.snapshot,
      resent: this.resent.snapshot,
      failed,
      droppedRecords: this.droppedRecords,
      filteredRecords: this.filteredRecords,
      rotations: this.rotations,
      lastError: this.#lastError,
    };
  }
}
