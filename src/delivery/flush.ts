import { type Clock, nextTick } from '../clock.ts';
import { Deadline } from './deadline.ts';
import type { FlushTimeout } from './outcome.ts';
import type { Sender } from './sender.ts';

/** A flush takes no longer, whatever is acknowledged meanwhile: Kubernetes kills a process 30 s after SIGTERM. */
export const MAX_FLUSH_MILLIS = 25_000;

/** After a flush has timed out late, it goes on for no longer: `LoggerProvider.forceFlush()` rejects after 30 s. */
const MAX_EXTENSION_MILLIS = 4_000;

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
   * the latest after `maxMillis`, or 25 s. Ends the backoff. Holds the process. Never rejects.
   */
  async flush(maxMillis?: number): Promise<void> {
    const { prepare, running, sender } = this.#options;
    const waitedFor = new Set<T>();
    let end = () => {};
    const ended = new Promise<void>((resolve) => {
      end = resolve;
    });
    const stopListening = running.onEnded((each) => {
      if (waitedFor.delete(each) && waitedFor.size === 0) end();
    });
    const flush = this.#startDeadline(waitedFor, limitOf(maxMillis), end);
    await Promise.race([prepare(), ended]);
    flush.prepared();
    for (const each of running.inFlight) waitedFor.add(each);
    if (waitedFor.size > 0) {
      sender.hurry();
      await ended;
    }
    flush.deadline.cancel();
    stopListening();
  }

  /** No ack can come before the flush is prepared, so the time without one begins then. */
  #startDeadline(waitedFor: ReadonlySet<T>, maxMillis: number, end: () => void) {
    const { clock, flushTimeoutMillis, roundMillis, running, sender } = this.#options;
    const longestAt = clock.now() + maxMillis;
    let preparedAt: number | undefined;
    const silentAt = () => Math.max(preparedAt ?? clock.now(), sender.lastAckAt) + flushTimeoutMillis;
    const timeout = (): FlushTimeout => ({
      code: 'FLUENT_FORWARD_FLUSH_TIMEOUT',
      ...(silentAt() > longestAt
        ? { limit: 'whole flush', millis: maxMillis }
        : { limit: 'no ack', millis: flushTimeoutMillis }),
    });
    const deadline = new Deadline({
      clock,
      dueAt: () => Math.min(silentAt(), longestAt),
      roundMillis: Math.min(flushTimeoutMillis, roundMillis, maxMillis, MAX_EXTENSION_MILLIS),
      keepAlive: true,
      onDue: () => {
        this.#timeout = timeout();
        const late = [...waitedFor].filter((each) => running.inFlight.has(each));
        if (running.flushTimedOut(late, this.#timeout) === 'kept' || waitedFor.size === 0) end();
      },
      onTurnEnd: () => {
        this.#timeout = undefined;
      },
    });
    const prepared = () => {
      preparedAt = clock.now();
    };
    return { deadline, prepared };
  }
}

/** Anything but a positive number is no limit. */
function limitOf(maxMillis: unknown): number {
  return typeof maxMillis === 'number' && maxMillis > 0 ? Math.min(maxMillis, MAX_FLUSH_MILLIS) : MAX_FLUSH_MILLIS;
}

/** Resolves when the microtask queue of this turn is empty. BatchLogRecordProcessor may flush just before it exports. */
export async function microtasksDone(): Promise<void> {
  // The first tick may come before the microtasks. The second one is made by a microtask, and comes after all of them.
  for (let ticks = 0; ticks < 2; ticks++) await new Promise<void>((done) => nextTick(done));
}
