import type { Clock } from '../clock.ts';
import type { Diagnostics } from '../diagnostics.ts';
import type { ExportErrorCode, FluentForwardExportError } from '../errors.ts';
import { QUIET_MILLIS } from './loss-episodes.ts';
import { LossLog } from './loss-log.ts';
import { LossesByCause } from './losses-by-cause.ts';

export interface FailureReportOptions {
  readonly clock: Clock;
  readonly diagnostics: Diagnostics;
  /** The configured endpoints, which show which exporter a message is about. */
  readonly endpoint: string;
  readonly timeoutMillis: number;
}

interface FailedExports {
  exports: number;
  /** The records of these exports that were not acknowledged. */
  records: number;
}

/** Reports failed exports beside their results: the SDK logs each result, and only if `diag` has a logger. */
export class FailureReport {
  readonly #endpoint: string;
  readonly #log: LossLog;
  readonly #codes: LossesByCause<ExportErrorCode, FailedExports>;

  constructor({ clock, diagnostics, endpoint, timeoutMillis }: FailureReportOptions) {
    this.#endpoint = endpoint;
    this.#log = new LossLog(diagnostics, 'FLUENT_FORWARD_EXPORT_FAILED');
    this.#codes = new LossesByCause({
      clock,
      // During an outage one export after the other fails, each after its whole time.
      quietMillis: timeoutMillis + QUIET_MILLIS,
      createTotals: () => ({ exports: 0, records: 0 }),
      reportEnd: (code, totals, seconds) => this.#log.ended(this.#describeEnd(code, totals, seconds)),
    });
  }

  failed({ code, message, records, acknowledgedRecords }: FluentForwardExportError): void {
    const losses = this.#codes.of(code);
    const totals = losses.continue();
    totals.exports++;
    totals.records += records - acknowledgedRecords;
    if (losses.isDue) losses.report(() => this.#log.failed(message));
  }

  /** Reports what failed and is not reported yet. To be called when the exporter is shut down. */
  close(): void {
    this.#codes.close();
  }

  #describeEnd(code: ExportErrorCode, { exports, records }: FailedExports, seconds: string): string {
    return `${this.#endpoint}: ${exports} export(s) with ${records} unacknowledged log record(s) failed in ${seconds} s, and no more since then; code: ${code}`;
  }
}
