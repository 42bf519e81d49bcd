import { AsyncLocalStorage } from 'node:async_hooks';
import { context, ROOT_CONTEXT } from '@opentelemetry/api';

/** The key that `suppressTracing()` of `@opentelemetry/core` sets; global, so that no copy of core is needed. */
const SUPPRESS_TRACING = Symbol.for('OpenTelemetry SDK Context Key SUPPRESS_TRACING');

/** Taken while the module loads: a constructor or an `export()` may run inside a request. */
const withModuleContext = AsyncLocalStorage.snapshot();
const UNTRACED = ROOT_CONTEXT.setValue(SUPPRESS_TRACING, true);

/**
 * Runs `action` in no request's async context and untraced. A socket or timer made in a request's
 * context would keep that request's state alive, and tracing would record the exporter's own sockets.
 */
export function inCleanContext<T>(action: () => T): T {
  return withModuleContext(() => context.with(UNTRACED, action));
}
