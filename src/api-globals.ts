/** Where the API packages keep what is registered, for all copies of them in a process. */
const API = Symbol.for('opentelemetry.js.api.1');
const API_LOGS = Symbol.for('io.opentelemetry.js.api.logs');

const globals = globalThis as { [API]?: { diag?: unknown; logs?: unknown }; [API_LOGS]?: unknown };

/** The API has no function for this. */
export function hasDiagLogger(): boolean {
  return globals[API]?.diag !== undefined;
}

/** Reads the global symbols, because the APIs would log an error when asked. */
export function hasLoggerProvider(): boolean {
  return globals[API]?.logs !== undefined || globals[API_LOGS] !== undefined;
}
