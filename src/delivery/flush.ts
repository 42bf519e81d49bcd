import { type Clock, nextTick } from '../clock.ts';
import { Deadline } from './deadline.ts';
import type { FlushTimeout } from './outcome.ts';
import type { Sender } from './sender.ts';

/** A flush takes no longer, whatever is acknowledged meanwhile: Kubernetes kills a process 30 s after SIGTERM. */
export const MAX_FLUSH_MILLIS = 25_000;

/** What a flush waits for. */
export interface Flushable<T> {
  /** What is not settled. */
  readonly inFlight: ReadonlySet<T>;
  /** Calls `listener` for each that is settled from now on. Returns a function that ends this. */
  onEnded(listener: (ended: T) => void): () => void;
  /** The flush takes too long. Returns whether it fails `late`, and so settles them, or keeps them. */
  flushTimedOut(late: readonly T[], timeout: FlushTimeout): 'failed' | 'kept';
}

export interface FlusherOptions<T> {
  readonly running: Flushable<T>;
  readonly sender: Pick<Sender, 'hurry' | 'lastAckAt'>;
  readonly clock: Clock;
  readonly flushTimeoutMillis: number;
  /** How long it may take to dial once and to send one chunk. */
  readonly roundMillis: number;
  /** Runs before the flush looks at what is in flight. */
  readonly prepare: () => Promise<void>;
}

/** Waits for what is in flight. */
export class Flusher<T> {
  readonly #options: FlusherOptions<T>;
  #timeout: FlushTimeout | undefined;

  constructor(options: FlusherOptions<T>) {
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
   * Resolves when what is in flight is settled. Times out if nothing is acknowledged for `flushTimeoutMillis`, and at
   * the latest after `maxMillis`, or 25 s. Ends the backoff. Holds the process.
   */
  async flush(maxMillis: number = MAX_FLUSH_MILLIS): Promise<void> {
    const { prepare, running, sender } = this.#options;
    const waitedFor = new Set<T>();
    let end = () => {};
    const ended = new Promise<void>((resolve) => {
      end = resolve;
    });
    const stopListening = running.onEnded((each) => {
      if (waitedFor.delete(each) && waitedFor.size === 0) end();
    });
    const deadline = this.#startDeadline(waitedFor, maxMillis, end);
    await Promise.race([prepare(), ended]);
    for (const each of running.inFlight) waitedFor.add(each);
    if (waitedFor.size > 0) {
      sender.hurry();
      await ended;
    }
    deadline.cancel();
    stopListening();
  }

  #startDeadline(waitedFor: ReadonlySet<T>, maxMillis: number, end: () => void): Deadline {
    const { clock, flushTimeoutMillis, roundMillis, running, sender } = this.#options;
    const startedAt = clock.now();
    const longestAt = startedAt + (maxMillis > 0 ? Math.min(maxMillis, MAX_FLUSH_MILLIS) : MAX_FLUSH_MILLIS);
    const silentAt = () => Math.max(startedAt, sender.lastAckAt) + flushTimeoutMillis;
    return new Deadline({
      clock,
      dueAt: () => Math.min(silentAt(), longestAt),
      roundMillis: Math.min(flushTimeoutMillis, roundMillis),
      keepAlive: true,
      onDue: () => {
        const limit = silentAt() > longestAt ? 'whole flush' : 'no ack';
        this.#timeout = { code: 'FLUENT_FORWARD_FLUSH_TIMEOUT', limit };
        const late = [...waitedFor].filter((each) => running.inFlight.has(each));
        if (running.flushTimedOut(late, this.#timeout) === 'kept' || waitedFor.size === 0) end();
      },
      onTurnEnd: () => {
        this.#timeout = undefined;
      },
    });
  }
}

/** Resolves when the microtask queue of this turn is empty. BatchLogRecordProcessor may flush just before it exports. */
export async function microtasksDone(): Promise<void> {
  // The first tick may come before the microtasks. The second one is made by a microtask, and comes after all of them.
  for (let ticks = 0; ticks < 2; ticks++) await new Promise<void>((done) => nextTick(done));
}
