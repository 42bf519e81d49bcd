import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';

/** The process has one name, even if it loads the package twice (as ES module and as CommonJS). */
const HOSTNAME = Symbol.for('opentelemetry-exporter-fluent-forward.hostname');
const MAX_OS_HOSTNAME_CHARACTERS = 64;

/**
 * Returns `<os hostname>/otel-<8 hex>`. Operators see where the client runs. The name differs from that of a receiver,
 * which often is the hostname.
 */
export function processHostname(): string {
  const names = globalThis as { [HOSTNAME]?: string };
  names[HOSTNAME] ??= `${hostname().slice(0, MAX_OS_HOSTNAME_CHARACTERS)}/otel-${randomBytes(4).toString('hex')}`;
  return names[HOSTNAME];
}
