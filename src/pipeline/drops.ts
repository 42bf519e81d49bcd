import type { KeptChunk } from '../delivery/kept-chunks.ts';
import { describeDrop } from '../encode/drop-cause.ts';
import { MESSAGE_CEILING_BYTES } from '../encode/message.ts';
import { type ExportErrorCode, messageOf } from '../errors.ts';
import type { SeverityCounts } from '../severity.ts';
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

  /** Drops a record that is not held. */
  refused(reason: DropReason, severityNumber: unknown): void {
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
    this.#options.counters.droppedRecords += records.total;
    this.held('unencodable', records, () => `a fault of the processor: ${messageOf(error)}`);
  }

  /** Drops held records that are in no sealed chunk. */
  held(reason: DropReason, records: SeverityCounts, detail?: () => string): void {
    const { counters, losses } = this.#options;
    counters.heldRecords -= records.total;
    counters.dropped[reason] += records.total;
    losses.lost(reason, records, detail);
  }

  /** Drops the records of a sealed chunk. `code`: what `stats().failed` and the channels report. */
  chunk(reason: DropReason, code: ExportErrorCode, { carried, severities }: KeptChunk, detail?: () => string): void {
    const { counters, telemetry } = this.#options;
    const { chunk, transit } = carried;
    counters.failed(code, chunk.volume);
    this.held(reason, severities, detail);
    telemetry.failed(chunk, code, transit?.lastFault?.error);
  }
}
