import { hasDiagLogger } from '../api-globals.ts';
import type { Diagnostics } from '../diagnostics.ts';
import { isFirstLoss, type LossWarningCode, warnOfLoss } from '../loss-warning.ts';

/** Where losses are reported: through `diag`, and as process warnings if it has no logger. */
export class LossLog {
  readonly #diagnostics: Diagnostics;
  readonly #code: LossWarningCode;

  constructor(diagnostics: Diagnostics, code: LossWarningCode) {
    this.#diagnostics = diagnostics;
    this.#code = code;
  }

  /** Reports a loss that the SDK logs through `diag`. */
  failed(message: string): void {
    if (isFirstLoss() || !hasDiagLogger()) warnOfLoss(this.#code, message);
  }

  /** Reports a loss that nothing else logs. */
  dropped(message: string): void {
    this.failed(message);
    this.#diagnostics.error(message);
  }

  /** Reports the end of an episode. */
  ended(message: string): void {
    if (hasDiagLogger()) this.#diagnostics.error(message);
    else warnOfLoss(this.#code, message);
  }
}
