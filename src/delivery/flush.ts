import { type Clock, nextTick } from '../clock.ts';
import { Deadline } from './deadline.ts';
import type { Export, Exports } from './exports.ts';
import type { FlushTimeout } from './outcome.ts';
import type { Sender } from './sender.ts';

/** A flush takes no longer, whatever is acknowledged meanwhile: Kubernetes kills a process 30 s after SIGTERM. */
export const MAX_FLUSH_MILLIS = 25_000;

export interface FlusherOptions {
  readonly running: Exports;
  readonly sender: Pick<Sender, 'hurry' | 'lastAckAt'>;
  readonly clock: Clock;
  readonly flushTimeoutMillis: number;
  /** How long it may take to dial once and to send one chunk. */
  readonly roundMillis: number;
}

/** Waits for the exports in flight. Fails the exports that get no acks. */
export class Flusher {
  readonly #options: FlusherOptions;
  #timeout: FlushTimeout | undefined;

  constructor(options: FlusherOptions) {
    this.#options = options;
  }

  /**
   * The timeout of a flush in this turn of the event loop. BatchLogRecordProcessor exports the rest of its queue
   * then, batch after batch, and nothing but microtasks lies between.
   */
  get timeout(): FlushTimeout | undefined {
    return this.#timeout;
  }

  /**
   * Resolves when the exports in flight have their results. An export fails if nothing is acknowledged for
   * `flushTimeoutMillis`, and at the latest after 25 s. Ends the backoff.
   */
  async flush(): Promise<void> {
    const { running, sender } = this.#options;
    const waitedFor = new Set<Export>();
    const deadline = this.#startDeadline(waitedFor);
    // BatchLogRecordProcessor may flush just before it exports, with nothing but microtasks between.
    await microtasksDone();
    for (const each of running.inFlight) waitedFor.add(each);
    if (waitedFor.size > 0) sender.hurry();
    await Promise.all([...waitedFor].map((each) => running.ended(each)));
    deadline.cancel();
  }

  #startDeadline(waitedFor: ReadonlySet<Export>): Deadline {
    const { clock, flushTimeoutMillis, roundMillis, running, sender } = this.#options;
    const startedAt = clock.now();
    const longestAt = startedAt + MAX_FLUSH_MILLIS;
    const silentAt = () => Math.max(startedAt, sender.lastAckAt) + flushTimeoutMillis;
    return new Deadline({
      clock,
      dueAt: () => Math.min(silentAt(), longestAt),
      roundMillis: Math.min(flushTimeoutMillis, roundMillis),
      onDue: () => {
        const limit = silentAt() > longestAt ? 'whole flush' : 'no ack';
        this.#timeout = { code: 'FLUENT_FORWARD_FLUSH_TIMEOUT', limit };
        const late = [...waitedFor].filter((each) => running.inFlight.has(each));
        running.giveUp(late, this.#timeout);
      },
      onTurnEnd: () => {
        this.#timeout = undefined;
      },
    });
  }
}

/** Resolves when the microtask queue of this turn is empty. */
async function microtasksDone(): Promise<void> {
  // The first tick may come before the microtasks. The second one is made by a microtask, and comes after all of them.
  for (let ticks = 0; ticks < 2; ticks++) await new Promise<void>((done) => nextTick(done));
}
