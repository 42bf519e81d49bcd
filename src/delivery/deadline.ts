import type { Clock, Timer } from '../clock.ts';

/** A timer that fires later than this was held up: the process was frozen, or its event loop was blocked. */
const LATE_MILLIS = 500;

export interface DeadlineOptions {
  readonly clock: Clock;
  /** On the clock. It may move while the deadline runs. */
  readonly dueAt: () => number;
  /** How long one more try may take when the process was held up until the deadline. */
  readonly roundMillis: number;
  /** Whether the deadline keeps the process alive. Default false. */
  readonly keepAlive?: boolean;
  readonly onDue: () => void;
  /** Called at the end of the turn in which `onDue` may have been called. */
  readonly onTurnEnd?: () => void;
}

/** Calls `onDue` once when the time is over, after what the sockets have received by then is read. */
export class Deadline {
  readonly #options: DeadlineOptions;
  #timer: Timer | undefined;
  #isCancelled = false;
  #isExtended = false;

  constructor(options: DeadlineOptions) {
    this.#options = options;
    this.#start(options.dueAt());
  }

  cancel(): void {
    this.#isCancelled = true;
    this.#timer?.cancel();
  }

  #start(at: number): void {
    const { clock, keepAlive, onTurnEnd } = this.#options;
    this.#timer = clock.after(
      Math.max(0, at - clock.now()),
      () => {
        const isLate = clock.now() - at >= LATE_MILLIS;
        clock.afterReads(() => this.#fired(isLate));
        // Nothing can come between the two: only microtasks and ticks run before the second one.
        if (onTurnEnd !== undefined) clock.afterReads(onTurnEnd);
      },
      keepAlive,
    );
  }

  #fired(isLate: boolean): void {
    if (this.#isCancelled) return;
    const { clock, dueAt, onDue, roundMillis } = this.#options;
    let at = dueAt();
    // Nothing was tried while the process was held up, so the time goes on for one try. Only once: an event loop that is
    // blocked again and again must not keep the deadline off.
    if (isLate && !this.#isExtended) {
      this.#isExtended = true;
      at = Math.max(at, clock.now() + roundMillis);
    }
    // Timers of Node.js may fire a millisecond early.
    if (at - clock.now() >= 1) this.#start(at);
    else onDue();
  }
}
