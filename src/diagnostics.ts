import { type DiagLogger, diag } from '@opentelemetry/api';
import type { Clock } from './clock.ts';
import { ignoreRejection } from './errors.ts';

const WINDOW_MILLIS = 60_000;

/**
 * What the exporter says through OpenTelemetry's `diag`. A cause is told at most once a minute,
 * then with the count of what was left out since.
 */
export class Diagnostics {
  readonly #clock: Clock;
  readonly #logger: DiagLogger = diag.createComponentLogger({ namespace: 'opentelemetry-exporter-fluent-forward' });
  readonly #causes = new Map<string, { since: number; leftOut: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  debug(message: string): void {
    this.#tell('debug', message);
  }

  info(message: string): void {
    this.#tell('info', message);
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
    this.#tell('warn', leftOut === 0 ? text : `${text} (and ${leftOut} like it since the last such message)`);
    return true;
  }

  /** For what is lost and nobody else tells. */
  error(message: string): void {
    this.#tell('error', message);
  }

  /** For messages that come once anyway, such as a bad environment variable's. */
  warnOnce(message: string): void {
    this.#tell('warn', message);
  }

  /** The logger belongs to the application: what it throws must neither end in the event of a socket nor end the process. */
  #tell(level: 'debug' | 'info' | 'warn' | 'error', message: string): void {
    try {
      const returned: unknown = this.#logger[level](message);
      ignoreRejection(returned);
    } catch {
      // There is nobody left to tell.
    }
  }
}

/** One flag for the process, also where it has loaded the package twice (as ES module and CommonJS). */
const LOSS_TOLD = Symbol.for('opentelemetry-exporter-fluent-forward.loss-told');

/** For a program that tells each failed export itself. */
export function withholdFirstLoss(): void {
  (globalThis as { [LOSS_TOLD]?: boolean })[LOSS_TOLD] = true;
}

/**
 * Tells the first lost batch of the process on standard error: until the application gives `diag` a
 * logger, which by default it has not, a failed export is told nowhere.
 */
export function warnOfFirstLoss(error: Error): void {
  const flags = globalThis as { [LOSS_TOLD]?: boolean };
  if (flags[LOSS_TOLD]) return;
  flags[LOSS_TOLD] = true;
  process.emitWarning(error.message, {
    code: 'FLUENT_FORWARD_EXPORT_FAILED',
    detail:
      "Further losses are told through OpenTelemetry's diag only. To see them, give it a logger: import { diag, DiagConsoleLogger, DiagLogLevel } from '@opentelemetry/api'; " +
      'diag.setLogger(new DiagConsoleLogger(), DiagLogLevel.WARN)',
  });
}
