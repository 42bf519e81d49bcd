/** `otel.component.type` of the semantic conventions. */
export const COMPONENT_TYPE = 'fluent_forward_log_exporter';

/** One count for the process, also where it has loaded the package twice (as ES module and CommonJS). */
const COUNT = Symbol.for('opentelemetry-exporter-fluent-forward.exporters');

/** What an exporter is called in metrics and diagnostics channels: its type and how many came before it. */
export function nextComponentName(): string {
  const counts = globalThis as { [COUNT]?: number };
  const before = counts[COUNT] ?? 0;
  counts[COUNT] = before + 1;
  return `${COMPONENT_TYPE}/${before}`;
}
