import { hasDiagLogger } from '../api-globals.ts';
import { inCleanContext } from '../clean-context.ts';
import type { Clock, Timer } from '../clock.ts';

/** An episode is over when nothing was lost for this long, if losses are known at once. */
export const QUIET_MILLIS = 10_000;
/** There is at most one message about losses that go on, and at most one process warning, in this time. */
const WINDOW_MILLIS = 60_000;

export interface LossEpisodesOptions<Totals> {
  readonly clock: Clock;
  /** An episode is over when nothing was lost for this long. */
  readonly quietMillis: number;
  readonly createTotals: () => Totals;
  /** Reports an episode that is over. `seconds`: from its first loss to its last one. */
  readonly reportEnd: (totals: Totals, seconds: string) => void;
}

interface Episode<Totals> {
  readonly totals: Totals;
  /** When the first loss came that was not from within a report. */
  since: number;
  lastLossAt: number;
  /** Whether a message has reported that there are losses. */
  isReported: boolean;
}

/**
 * The losses of one cause, in episodes. Each loss is in the totals of exactly one episode.
 *
 * If `diag` has no logger, messages are process warnings, and there is at most one a minute. The end of an episode is
 * reported when the minute is over, and what is lost until then belongs to the episode.
 */
export class LossEpisodes<Totals> {
  readonly #options: LossEpisodesOptions<Totals>;
  #episode: Episode<Totals> | undefined;
  /** Runs until the episode is over. Undefined without one, or if all its losses came from within a report. */
  #timer: Timer | undefined;
  #reportedAt = Number.NEGATIVE_INFINITY;
  #isReporting = false;

  constructor(options: LossEpisodesOptions<Totals>) {
    this.#options = options;
  }

  /** Begins an episode, or continues it. Returns its totals, for the caller to add the loss. */
  continue(): Totals {
    const { clock, createTotals, quietMillis } = this.#options;
    const now = clock.now();
    this.#episode ??= { totals: createTotals(), since: now, lastLossAt: now, isReported: false };
    this.#episode.lastLossAt = now;
    // A logger whose own records are lost must not begin one episode after another.
    if (this.#timer === undefined && !this.#isReporting) {
      this.#episode.since = now;
      this.#startTimer(quietMillis);
    }
    return this.#episode.totals;
  }

  /** Whether the losses are to be reported now. */
  get isDue(): boolean {
    const episode = this.#episode;
    if (episode === undefined) return false;
    if (episode.lastLossAt - this.#reportedAt < WINDOW_MILLIS) return false;
    return !episode.isReported || hasDiagLogger();
  }

  /** Runs `report`, which reports that there are losses. */
  report(report: () => void): void {
    if (this.#episode !== undefined) this.#episode.isReported = true;
    this.#run(report);
  }

  /** Ends the episode now, and reports it. */
  close(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    const episode = this.#episode;
    if (episode === undefined) return;
    this.#episode = undefined;
    const seconds = ((episode.lastLossAt - episode.since) / 1000).toFixed(1);
    this.#run(() => this.#options.reportEnd(episode.totals, seconds));
  }

  /** A report calls the application's logger, from within which more can be lost. */
  #run(report: () => void): void {
    this.#reportedAt = this.#options.clock.now();
    this.#isReporting = true;
    report();
    this.#isReporting = false;
  }

  /** The first loss may come in the context of a request. */
  #startTimer(millis: number): void {
    this.#timer = inCleanContext(() => this.#options.clock.after(millis, () => this.#closeIfOver()));
  }

  #closeIfOver(): void {
    const wait = this.#overAt() - this.#options.clock.now();
    if (wait > 0) this.#startTimer(wait);
    else this.close();
  }

  #overAt(): number {
    const quietAt = (this.#episode?.lastLossAt ?? 0) + this.#options.quietMillis;
    return hasDiagLogger() ? quietAt : Math.max(quietAt, this.#reportedAt + WINDOW_MILLIS);
  }
}
