import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';

/** One name for the process, also where it has loaded the package twice (as ES module and CommonJS). */
const HOSTNAME = Symbol.for('opentelemetry-exporter-fluent-forward.hostname');
const MAX_OS_HOSTNAME_CHARACTERS = 64;

/**
 * `<os hostname>/otel-<8 hex>`: tells operators where a client runs, and is never the name of the
 * receiver, which often is the machine's.
 */
export function processHostname(): string {
  const names = globalThis as { [HOSTNAME]?: string };
  names[HOSTNAME] ??= `${hostname().slice(0, MAX_OS_HOSTNAME_CHARACTERS)}/otel-${randomBytes(4).toString('hex')}`;
  return names[HOSTNAME];
}
