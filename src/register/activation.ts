import type { Variables } from './variables.ts';

/** What the variables say of whether log records are for this exporter. */
export type Activation =
  | { readonly kind: 'active' }
  | { readonly kind: 'disabled' }
  /** `OTEL_LOGS_EXPORTER` names only others. */
  | { readonly kind: 'others'; readonly exporters: string };

/** This exporter in `OTEL_LOGS_EXPORTER`. */
const EXPORTER_NAME = 'fluent_forward';

export function readActivation(variables: Variables): Activation {
  if (variables.boolean('OTEL_SDK_DISABLED', false)) return { kind: 'disabled' };
  const exporters = (variables.text('OTEL_LOGS_EXPORTER') ?? '')
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
  if (exporters.length === 0 || exporters.some((name) => name.toLowerCase() === EXPORTER_NAME)) {
    return { kind: 'active' };
  }
  return { kind: 'others', exporters: exporters.join(', ') };
}
