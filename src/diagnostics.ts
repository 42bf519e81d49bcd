import { type DiagLogger, diag } from '@opentelemetry/api';
import type { Clock } from './clock.ts';
import { ignoreRejection } from './errors.ts';

const WINDOW_MILLIS = 60_000;

/**
 * Logs through OpenTelemetry's `diag`. Warnings of one cause are logged at most once a minute, with the number of those
 * that were left out.
 */
export class Diagnostics {
  readonly #clock: Clock;
  readonly #logger: DiagLogger = diag.createComponentLogger({ namespace: 'opentelemetry-exporter-fluent-forward' });
  readonly #causes = new Map<string, { since: number; leftOut: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  debug(message: string): void {
    this.#log('debug', message);
  }

  info(message: string): void {
    this.#log('info', message);
  }

  /** `cause` comes from a bounded set. A message is made only if it is logged. Returns whether it was. */
  warn(cause: string, message: string | (() => string)): boolean {
    const now = this.#clock.now();
    const last = this.#causes.get(cause);
    if (last !== undefined && now - last.since < WINDOW_MILLIS) {
      last.leftOut++;
      return false;
    }
    this.#causes.set(cause, { since: now, leftOut: 0 });
    const leftOut = last?.leftOut ?? 0;
    const text = typeof message === 'string' ? message : message();
    this.#log('warn', leftOut === 0 ? text : `${text} (and ${leftOut} like it since the last such message)`);
    return true;
  }

  /** Logs lost records. */
  error(message: string): void {
    this.#log('error', message);
  }

  /** Logs a message that occurs only once, such as that about a bad environment variable. */
  warnOnce(message: string): void {
    this.#log('warn', message);
  }

  /** The logger belongs to the application: what it throws must neither end in the event of a socket nor end the process. */
  #log(level: 'debug' | 'info' | 'warn' | 'error', message: string): void {
    try {
      const returned: unknown = this.#logger[level](message);
      ignoreRejection(returned);
    } catch {
      // Nothing can report this.
    }
  }
}
