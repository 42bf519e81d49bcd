import { onTestFinished } from 'vitest';
import { settle } from './fake-clock.ts';

const WARNINGS = Symbol.for('opentelemetry-exporter-fluent-forward.loss-warnings');

export interface LossWarning {
  readonly code: string;
  readonly message: string;
  readonly detail: string | undefined;
}

/** Makes the next loss the first one of the process. Returns the warnings about losses since the last call. */
export function lossWarnings(): () => Promise<readonly LossWarning[]> {
  delete (globalThis as { [WARNINGS]?: unknown })[WARNINGS];
  const warnings: LossWarning[] = [];
  const add = (warning: Error & { code?: string; detail?: string }) => {
    const { code = '', message, detail } = warning;
    warnings.push({ code, message, detail });
  };
  process.on('warning', add);
  onTestFinished(() => void process.off('warning', add));
  return async () => {
    await settle();
    return warnings.splice(0);
  };
}
