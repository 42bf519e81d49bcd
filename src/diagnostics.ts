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

  /** Logs a loss that no export result reports. */
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

/** One flag for the process, also where it has loaded the package twice (as ES module and CommonJS). */
const LOSS_REPORTED = Symbol.for('opentelemetry-exporter-fluent-forward.loss-told');

/** For a program that reports each failed export itself. */
export function withholdFirstLoss(): void {
  (globalThis as { [LOSS_REPORTED]?: boolean })[LOSS_REPORTED] = true;
}

/**
 * Reports the first lost batch of the process on standard error. `diag` has no logger by default, and then nothing else
 * reports a failed export.
 */
export function warnOfFirstLoss(error: Error): void {
  const flags = globalThis as { [LOSS_REPORTED]?: boolean };
  if (flags[LOSS_REPORTED]) return;
  flags[LOSS_REPORTED] = true;
  process.emitWarning(error.message, {
    code: 'FLUENT_FORWARD_EXPORT_FAILED',
    detail:
      "Further losses are told through OpenTelemetry's diag only. To see them, give it a logger: import { diag, DiagConsoleLogger, DiagLogLevel } from '@opentelemetry/api'; " +
      'diag.setLogger(new DiagConsoleLogger(), DiagLogLevel.WARN)',
  });
}
