import { LossEpisodes, type LossEpisodesOptions } from './loss-episodes.ts';

export interface LossesByCauseOptions<Cause, Totals> extends Omit<LossEpisodesOptions<Totals>, 'reportEnd'> {
  /** Reports an episode that is over. `seconds`: from its first loss to its last one. */
  readonly reportEnd: (cause: Cause, totals: Totals, seconds: string) => void;
}

/** The episodes of each cause. Causes come from a bounded set. */
export class LossesByCause<Cause, Totals> {
  readonly #options: LossesByCauseOptions<Cause, Totals>;
  readonly #causes = new Map<Cause, LossEpisodes<Totals>>();

  constructor(options: LossesByCauseOptions<Cause, Totals>) {
    this.#options = options;
  }

  of(cause: Cause): LossEpisodes<Totals> {
    const known = this.#causes.get(cause);
    if (known !== undefined) return known;
    const { reportEnd, ...options } = this.#options;
    const episodes = new LossEpisodes<Totals>({
      ...options,
      reportEnd: (totals, seconds) => reportEnd(cause, totals, seconds),
    });
    this.#causes.set(cause, episodes);
    return episodes;
  }

  /** Ends all episodes now, and reports them. */
  close(): void {
    for (const episodes of this.#causes.values()) episodes.close();
  }
}
