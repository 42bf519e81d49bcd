/** `otel.component.type` of the semantic conventions. */
export type ComponentType = 'fluent_forward_log_exporter' | 'fluent_forward_log_processor';

/**
 * The name of an exporter or a processor in metrics and diagnostics channels: its type, and how many there were before
 * it. The count is one for the process, even if it has loaded the package twice (as ES module and as CommonJS).
 */
export function nextComponentName(type: ComponentType): string {
  const counts = globalThis as { [count: symbol]: number | undefined };
  const count = Symbol.for(`opentelemetry-exporter-fluent-forward.${type}`);
  const before = counts[count] ?? 0;
  counts[count] = before + 1;
  return `${type}/${before}`;
}
