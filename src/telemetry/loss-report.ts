import type { Clock } from '../clock.ts';
import type { Diagnostics } from '../diagnostics.ts';
import { SeverityCounts } from '../severity.ts';
import type { DropReason } from '../stats.ts';
import { DROP_REASONS } from './drop-reasons.ts';
import { type LossEpisodes, QUIET_MILLIS } from './loss-episodes.ts';
import { LossLog } from './loss-log.ts';
import { LossesByCause } from './losses-by-cause.ts';

export interface LossReportOptions {
  readonly clock: Clock;
  readonly diagnostics: Diagnostics;
  /** The configured endpoints, which show which processor a message is about. */
  readonly endpoint: string;
  readonly maxInFlightBytes: number;
  /** The last fault of a connection, if there was no ack since. */
  readonly lastFault: () => string | undefined;
}

/** Returns more about a loss. Called only if the loss is reported. */
export type LossDetail = () => string;

/** Reports the records that a processor drops, while it drops them and in total. */
export class LossReport {
  readonly #options: LossReportOptions;
  readonly #log: LossLog;
  readonly #reasons: LossesByCause<DropReason, SeverityCounts>;

  constructor(options: LossReportOptions) {
    this.#options = options;
    this.#log = new LossLog(options.diagnostics, 'FLUENT_FORWARD_RECORDS_DROPPED');
    this.#reasons = new LossesByCause({
      clock: options.clock,
      quietMillis: QUIET_MILLIS,
      createTotals: () => new SeverityCounts(),
      reportEnd: (reason, totals, seconds) => this.#log.ended(this.#describeEnd(reason, totals, seconds)),
    });
  }

  /** Is called for each record, so it makes no text unless it reports. `detail` is printable. */
  lostOne(reason: DropReason, severityNumber: unknown, detail?: LossDetail): void {
    const losses = this.#reasons.of(reason);
    const totals = losses.continue();
    totals.add(severityNumber);
    if (losses.isDue) this.#report(losses, this.#describe(reason, totals, detail));
  }

  /** Reports records that are lost together. `detail` is printable. */
  lost(reason: DropReason, records: SeverityCounts, detail?: LossDetail): void {
    if (records.total === 0) return;
    const losses = this.#reasons.of(reason);
    const totals = losses.continue();
    totals.addAll(records);
    if (losses.isDue) this.#report(losses, this.#describe(reason, totals, detail));
  }

  /** Reports what was lost and is not reported yet. To be called when the processor is shut down. */
  close(): void {
    this.#reasons.close();
  }

  #report(losses: LossEpisodes<SeverityCounts>, message: string): void {
    losses.report(() => this.#log.dropped(message));
  }

  #describe(reason: DropReason, totals: SeverityCounts, detail: LossDetail | undefined): string {
    const { endpoint, lastFault, maxInFlightBytes } = this.#options;
    const { what, remedy, hasFault } = DROP_REASONS[reason];
    const more = detail === undefined ? '' : ` (${detail()})`;
    const fault = hasFault ? lastFault() : undefined;
    const last = fault === undefined ? '' : `; last fault: ${fault}`;
    return `${endpoint}: ${totals.total} log record(s) dropped so far (${totals}): ${what(maxInFlightBytes)}${more}; ${remedy}${last}`;
  }

  #describeEnd(reason: DropReason, totals: SeverityCounts, seconds: string): string {
    const { endpoint } = this.#options;
    return `${endpoint}: ${totals.total} log record(s) dropped in ${seconds} s (${totals}), and none since then for this reason: ${reason}`;
  }
}
