import { nextTick, systemClock } from '../clock.ts';
import type { Ending } from './ending.ts';
import { flushAll, type RecordCounts } from './flush-all.ts';

/** Without a limit, listeners of `beforeExit` that log each time would never let the process end. */
const MAX_FLUSHES = 10;

/** Flushes when the process has nothing left to do, and again when what other listeners began then has logged more. */
export class BeforeExit {
  readonly #endings: ReadonlySet<Ending>;
  #flushes = 0;
  #emittedBeforeFlush = 0;
  /**
   * Records that listeners of the event logged in a repetition of it. They cause no further flush, because the event is
   * only repeated after a flush: without one, these records would not exist. They are sent at `exit`.
   */
  #repeated = 0;

  constructor(endings: ReadonlySet<Ending>) {
    this.#endings = endings;
  }

  readonly listener = (): void => {
    const emitted = this.#emitted;
    const isNothingNew = this.#flushes > 0 && emitted === this.#emittedBeforeFlush + this.#repeated;
    if (isNothingNew || this.#flushes >= MAX_FLUSHES) {
      nextTick(() => {
        this.#repeated += this.#emitted - emitted;
      });
      return;
    }
    this.#flushes++;
    this.#repeated = 0;
    // In a turn of its own, after which the event comes again, whatever there is to flush.
    systemClock.afterReads(() => void this.#flush());
  };

  /** Flushes no more after a flush that timed out, because another one would take as long again. */
  async #flush(): Promise<void> {
    this.#emittedBeforeFlush = this.#emitted;
    const isSettled = await flushAll(this.#endings, (ending) => ending.flush(), countsOf);
    if (!isSettled) this.#flushes = MAX_FLUSHES;
  }

  get #emitted(): number {
    let total = 0;
    for (const { emittedRecords } of this.#endings) total += emittedRecords;
    return total;
  }
}

function countsOf({ emittedRecords, heldRecords }: Ending): RecordCounts {
  return { emitted: emittedRecords, held: heldRecords };
}
