/**
 * Time limits that a busy machine does not reach, so that an exporter whose receiver works neither warns nor gives up.
 * A test about a limit sets that one. The exporter warns about a `timeoutMillis` of 30 seconds or more.
 */
export const LONG_LIMITS = {
  connectTimeoutMillis: 25_000,
  ackTimeoutMillis: 25_000,
  flushTimeoutMillis: 25_000,
  exitTimeoutMillis: 25_000,
  timeoutMillis: 29_000,
};

/** The same limits as environment variables, for programs. */
export const LONG_LIMIT_VARIABLES: Readonly<Record<string, string>> = {
  OTEL_EXPORTER_FLUENT_FORWARD_CONNECT_TIMEOUT: String(LONG_LIMITS.connectTimeoutMillis),
  OTEL_EXPORTER_FLUENT_FORWARD_ACK_TIMEOUT: String(LONG_LIMITS.ackTimeoutMillis),
  OTEL_EXPORTER_FLUENT_FORWARD_FLUSH_TIMEOUT: String(LONG_LIMITS.flushTimeoutMillis),
  OTEL_EXPORTER_FLUENT_FORWARD_EXIT_TIMEOUT: String(LONG_LIMITS.exitTimeoutMillis),
  OTEL_EXPORTER_FLUENT_FORWARD_TIMEOUT: String(LONG_LIMITS.timeoutMillis),
};
