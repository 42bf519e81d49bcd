import { hasDiagLogger } from './api-globals.ts';
import { ignoreRejection } from './errors.ts';

/** The `code` of a process warning about lost log records. */
export type LossWarningCode = 'FLUENT_FORWARD_EXPORT_FAILED' | 'FLUENT_FORWARD_RECORDS_DROPPED';

/** One state for the process, also where it has loaded the package twice (as ES module and CommonJS). */
const WARNINGS = Symbol.for('opentelemetry-exporter-fluent-forward.loss-warnings');

/** `begun`: there was a warning. `withheld`: there are none. */
const state = globalThis as { [WARNINGS]?: 'begun' | 'withheld' };

const LOGGED = "Later losses are logged through OpenTelemetry's diag.";
const NOT_LOGGED =
  "OpenTelemetry's diag has no logger, so only the beginning and the end of later losses are reported, as process warnings. To see more, give it a logger: " +
  "import { diag, DiagConsoleLogger, DiagLogLevel } from '@opentelemetry/api'; diag.setLogger(new DiagConsoleLogger(), DiagLogLevel.WARN)";

/** For a program that reports each loss itself. */
export function withholdLossWarnings(): void {
  state[WARNINGS] = 'withheld';
}

/** Whether there was no warning in this process yet. */
export function isFirstLoss(): boolean {
  return state[WARNINGS] === undefined;
}

/** Warns on standard error. The first warning of the process also says where later losses are reported. */
export function warnOfLoss(code: LossWarningCode, message: string): void {
  if (state[WARNINGS] === 'withheld') return;
  const detail = hasDiagLogger() ? LOGGED : NOT_LOGGED;
  const options = isFirstLoss() ? { code, detail } : { code };
  state[WARNINGS] = 'begun';
  try {
    // The application may have replaced it.
    const returned: unknown = process.emitWarning(message, options);
    ignoreRejection(returned);
  } catch {
    // Nothing can report this.
  }
}
