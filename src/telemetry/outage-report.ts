import type { Clock } from '../clock.ts';
import type { Diagnostics } from '../diagnostics.ts';
import type { Counters } from '../stats.ts';

export interface OutageReportOptions {
  readonly clock: Clock;
  readonly counters: Counters;
  readonly diagnostics: Diagnostics;
}

/** From the first fault after an ack to the next ack. */
interface Outage {
  readonly since: number;
  /** The counters at its beginning. */
  readonly resentBefore: number;
  readonly failedBefore: number;
  /** Whether a warning has reported it. If not, its end is not reported either. */
  isReported: boolean;
  end: { readonly at: number; readonly place: string } | undefined;
}

/** Logs when the exporter is connected, when it loses its receivers, and what that cost when they are back. */
export class OutageReport {
  readonly #options: OutageReportOptions;
  #outage: Outage | undefined;
  #hasConnected = false;

  constructor(options: OutageReportOptions) {
    this.#options = options;
  }

  connected(place: string): void {
    const { diagnostics } = this.#options;
    const message = `connected to ${place}`;
    // Later connections are logged at the level debug, because rotations open one every minute.
    if (this.#hasConnected) diagnostics.debug(message);
    else diagnostics.info(message);
    this.#hasConnected = true;
  }

  /** A fault delays records. Logs it, at most once a minute for each `cause`. */
  fault(cause: string, message: () => string): void {
    const { clock, counters, diagnostics } = this.#options;
    this.#outage ??= {
      since: clock.now(),
      resentBefore: counters.resent.records,
      failedBefore: counters.failedRecords,
      isReported: false,
      end: undefined,
    };
    if (diagnostics.warn(cause, message)) this.#outage.isReported = true;
  }

  /** An ack came: the outage is over. */
  recovered(place: string): void {
    if (this.#outage !== undefined) this.#outage.end = { at: this.#options.clock.now(), place };
  }

  /** Logs the end of an outage. To be called when the chunks of lost connections are sent again. */
  reportRecovery(): void {
    const outage = this.#outage;
    if (outage?.end === undefined) return;
    this.#outage = undefined;
    if (!outage.isReported) return;
    const { counters, diagnostics } = this.#options;
    const seconds = ((outage.end.at - outage.since) / 1000).toFixed(1);
    const resent = counters.resent.records - outage.resentBefore;
    const failed = counters.failedRecords - outage.failedBefore;
    // At the level of the outage: who reads of its beginning also reads of its end.
    diagnostics.warnOnce(
      `connected to ${outage.end.place} again after ${seconds} s, ${resent} records resent, ${failed} failed`,
    );
  }
}
