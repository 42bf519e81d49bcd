import type { KeptChunk, KeptChunks } from '../delivery/kept-chunks.ts';
import { describeDrop } from '../encode/drop-cause.ts';
import { MESSAGE_CEILING_BYTES } from '../encode/message.ts';
import { type ExportErrorCode, messageOf } from '../errors.ts';
import { SeverityCounts } from '../severity.ts';
import type { Counters, DropReason } from '../stats.ts';
import type { LossReport } from '../telemetry/loss-report.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';

export interface DropsOptions {
  readonly counters: Counters;
  readonly losses: LossReport;
  readonly telemetry: Telemetry;
}

/** Counts and reports the records that are dropped. Counts first, because a report can call code of the application. */
export class Drops {
  readonly #options: DropsOptions;

  constructor(options: DropsOptions) {
    this.#options = options;
  }

  /** Drops a record before it is held. */
  notTaken(reason: DropReason, severityNumber: unknown): void {
    const { counters, losses } = this.#options;
    counters.dropped[reason]++;
    losses.lostOne(reason, severityNumber);
  }

  /** Drops a held record that could not be encoded. */
  unencodable(error: unknown, severityNumber: unknown): void {
    const { counters, losses } = this.#options;
    const { cause, reason } = describeDrop(error, MESSAGE_CEILING_BYTES);
    counters.heldRecords--;
    counters.dropped.unencodable++;
    counters.droppedRecords++;
    if (cause === 'oversize') counters.oversizeRecords++;
    losses.lostOne('unencodable', severityNumber, () => reason);
  }

  /** Drops the records of a chunk that could not be sealed. */
  unsealed(records: SeverityCounts, error: unknown): void {
    const { counters, losses } = this.#options;
    counters.drop('unencodable', records);
    counters.droppedRecords += records.total;
    losses.lost('unencodable', records, () => `a fault of the processor: ${messageOf(error)}`);
  }

  /** Drops a chunk that receivers refuse. `detail`: what they refuse. */
  refused(chunks: KeptChunks, kept: KeptChunk, detail: () => string): void {
    const { counters, losses } = this.#options;
    counters.drop('refused', kept.severities);
    counters.failed('FLUENT_FORWARD_CHUNK_REFUSED', kept.carried.chunk.volume);
    const report = this.#report(kept, 'FLUENT_FORWARD_CHUNK_REFUSED');
    // Before the reports, which call code of the application.
    chunks.giveUp(kept);
    losses.lost('refused', kept.severities, detail);
    report();
  }

  /** Drops what is left at the end. `unsealed`: records that are in no sealed chunk. */
  shutDown(chunks: KeptChunks, unsealed: readonly SeverityCounts[]): void {
    const { counters, losses } = this.#options;
    const records = new SeverityCounts();
    const drop = (counts: SeverityCounts) => {
      counters.drop('shut_down', counts);
      records.addAll(counts);
    };
    for (const counts of unsealed) drop(counts);
    const reports: (() => void)[] = [];
    chunks.giveUpAll((kept) => {
      drop(kept.severities);
      counters.failed('FLUENT_FORWARD_SHUT_DOWN', kept.carried.chunk.volume);
      reports.push(this.#report(kept, 'FLUENT_FORWARD_SHUT_DOWN'));
    });
    losses.lost('shut_down', records);
    for (const report of reports) report();
  }

  /**
   * Settles all chunks when the process ends. What is not acknowledged is dropped, and reported by the caller. `unencoded`:
   * records whose encoding never ends. Returns how many records are dropped.
   */
  processEnd(chunks: KeptChunks, isAcknowledged: (chunkId: string) => boolean, unencoded: number): number {
    const { counters } = this.#options;
    const reports: (() => void)[] = [];
    const before = counters.dropped.process_end;
    chunks.giveUpAll((kept) => {
      const { chunk } = kept.carried;
      if (isAcknowledged(chunk.id)) {
        counters.acknowledge(chunk.volume);
        return;
      }
      counters.drop('process_end', kept.severities);
      counters.failed('FLUENT_FORWARD_PROCESS_END', chunk.volume);
      reports.push(this.#report(kept, 'FLUENT_FORWARD_PROCESS_END'));
    });
    counters.dropped.process_end += unencoded;
    counters.heldRecords -= unencoded;
    const dropped = counters.dropped.process_end - before;
    for (const report of reports) report();
    return dropped;
  }

  /** Returns what publishes the loss of a chunk later, with what is known of it now. */
  #report({ carried: { chunk, transit } }: KeptChunk, code: ExportErrorCode): () => void {
    const error = transit?.lastFault?.error;
    return () => this.#options.telemetry.failed(chunk, code, error);
  }
}
