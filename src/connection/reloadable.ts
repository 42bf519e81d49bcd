import { BoundedWaits } from '../bounded-waits.ts';
import type { Clock } from '../clock.ts';
import type { Source } from '../config/source.ts';

export type Read = (source: Source) => Promise<string>;

export interface ReloadableOptions<T> {
  /** Makes the value of sources, each of which it reads through `read`. */
  readonly load: (read: Read) => Promise<T>;
  readonly clock: Clock;
  /** How long a dial waits for the first value. */
  readonly firstLimitMillis: number;
  /** How long it waits while there is an older value. Dials within this time share one attempt. */
  readonly limitMillis: number;
  /** Called with the reason if the last good value stays in use. */
  readonly kept: (error: unknown) => void;
}

/** One reading of all sources. */
interface Attempt {
  readonly startedAt: number;
  /** The origins of the sources that have not answered. */
  readonly unread: ReadonlySet<string>;
  readonly done: Promise<void>;
}

/**
 * A value that is loaded again for each dial. If that fails or takes too long, the last good value stays in use.
 * An attempt that hangs never stops a later one. If it ends at last, its value counts unless a newer one has come.
 */
export class Reloadable<T> {
  readonly #options: ReloadableOptions<T>;
  readonly #waits: BoundedWaits;
  #attempts = 0;
  #attempt: Attempt | undefined;
  /** An entry for each dial that waits. */
  readonly #waiting = new Set<Pick<Attempt, 'unread'>>();
  #last: { readonly value: T; readonly attempt: number } | undefined;

  constructor(options: ReloadableOptions<T>) {
    this.#options = options;
    this.#waits = new BoundedWaits(options.clock);
  }

  /** The origins of the sources that dials wait for. */
  get unread(): readonly string[] {
    return [...new Set([...this.#waiting].flatMap(({ unread }) => [...unread]))];
  }

  /** The last good value. Undefined if there was none yet. */
  get last(): T | undefined {
    return this.#last?.value;
  }

  /** Rejects if the value cannot be loaded and never could. */
  async get(): Promise<T> {
    const { clock, firstLimitMillis, limitMillis, kept } = this.#options;
    const isShared = this.#attempt !== undefined && clock.now() - this.#attempt.startedAt < limitMillis;
    const { unread, done } = isShared ? (this.#attempt as Attempt) : this.#begin();
    const millis = this.#last === undefined ? firstLimitMillis : limitMillis;
    const wait = { unread };
    this.#waiting.add(wait);
    try {
      await this.#waits.within(millis, done, () => `${[...unread].join(' and ')}: no answer within ${millis} ms`);
    } catch (error) {
      if (this.#last === undefined) throw error;
      kept(error);
    } finally {
      this.#waiting.delete(wait);
    }
    return (this.#last as { readonly value: T }).value;
  }

  /** Stops waiting for what is being read. */
  close(): void {
    this.#waits.close();
  }

  #begin(): Attempt {
    const { clock, load } = this.#options;
    const number = ++this.#attempts;
    const unread = new Set<string>();
    const read: Read = async (source) => {
      unread.add(source.origin);
      const text = await source.read();
      unread.delete(source.origin);
      return text;
    };
    const done = load(read)
      .then((value) => {
        if (number > (this.#last?.attempt ?? 0)) this.#last = { value, attempt: number };
      })
      .finally(() => {
        if (this.#attempt === attempt) this.#attempt = undefined;
      });
    const attempt: Attempt = { startedAt: clock.now(), unread, done };
    this.#attempt = attempt;
    return attempt;
  }
}
