import type { NetworkEndpoint } from './endpoint.ts';

/** One endpoint with what is said of it. The same can be written as `url?weight=2&standby=true`. */
export interface EndpointOptions {
  /** `tcp://host[:port]`, `tls://host[:port]`, `srv+tcp://name`, `srv+tls://name` or `unix:///path`. */
  url: string;
  /**
   * How much load each of its addresses gets in relation to others, 1 to 65535. Default 1.
   * For SRV names it multiplies the weights of the records.
   */
  weight?: number | undefined;
  /** Whether it is used only while no address of an endpoint that is no standby is healthy. Default false. */
  standby?: boolean | undefined;
}

/** One address that a receiver can be reached at. */
export interface ResolvedAddress {
  /** An IP address. */
  readonly address: string;
  /** TCP port; the endpoint's when absent. */
  readonly port?: number;
  /** As in an SRV record, from 0 to 65535: addresses of a higher number are used only while none of a lower one is healthy. Default 0. */
  readonly priority?: number;
  /** As in an SRV record, from 0 to 65535: its load in relation to that of others; 0 counts as 1. Default 1. */
  readonly weight?: number;
}

/**
 * Finds the addresses of an endpoint that is no Unix socket. It is called at every dial, at most once
 * at a time for each endpoint. When it rejects, gives nothing, or takes longer than half of
 * `connectTimeoutMillis` (for the first answer of a single endpoint: all of it), its last good answer
 * stays in use.
 */
export type Resolver = (endpoint: NetworkEndpoint) => Promise<readonly ResolvedAddress[]>;

/**
 * Options of `FluentForwardLogExporter`. Each falls back to its environment variable
 * (`OTEL_EXPORTER_FLUENT_FORWARD_…`, named behind the option) and then to its default.
 */
export interface FluentForwardLogExporterOptions {
  /**
   * The receivers: one endpoint, several with commas between them, or an array. Names are looked up
   * at every dial, and all their addresses count. Default `tcp://localhost:24224`. [`ENDPOINT`]
   */
  endpoint?: string | EndpointOptions | readonly (string | EndpointOptions)[] | undefined;
  /** The Forward tag of every record. Default `opentelemetry.logs`. [`TAG`] */
  tag?: string | undefined;
  /** Time for one `export()`, retries included, in milliseconds. Default 25000. [`TIMEOUT`] */
  timeoutMillis?: number | undefined;
  /** Time for the ack of one chunk on one connection, counted from the completion of its write. Default 5000. [`ACK_TIMEOUT`] */
  ackTimeoutMillis?: number | undefined;
  /** Time for one dial: name lookup and connect together. Default 5000. [`CONNECT_TIMEOUT`] */
  connectTimeoutMillis?: number | undefined;
  /**
   * From `forceFlush()` or `shutdown()` until the next ack, all exports together have this long.
   * Default 10000. [`FLUSH_TIMEOUT`]
   */
  flushTimeoutMillis?: number | undefined;
  /**
   * How old a connection gets before a new one, on a fresh lookup, replaces it; ± 10 %.
   * 0 never replaces it. Default 60000. [`ROTATION_INTERVAL`]
   */
  rotationIntervalMillis?: number | undefined;
  /** Connections kept at once, to different addresses where there are several. Default 1. [`CONNECTIONS`] */
  connections?: number | undefined;
  /** Unacknowledged chunks on one connection. Default 8. [`MAX_IN_FLIGHT_CHUNKS`] */
  maxInFlightChunks?: number | undefined;
  /**
   * Bytes of one Forward message. A record larger than this goes alone, up to 6000000 bytes;
   * a larger one is dropped and reported. Default 1000000. [`MAX_CHUNK_BYTES`]
   */
  maxChunkBytes?: number | undefined;
  /**
   * UTF-8 bytes of one string; a longer one is cut at a code point and ends in
   * `…[truncated N bytes]`. Default 262144. [`MAX_STRING_BYTES`]
   */
  maxStringBytes?: number | undefined;
  /**
   * Bytes that wait for their acks; while they reach this, `export()` fails at once, before
   * encoding. Each export counts at least 1024. Default 33554432. [`MAX_IN_FLIGHT_BYTES`]
   */
  maxInFlightBytes?: number | undefined;
  /** Replaces DNS, for all endpoints but Unix sockets. */
  resolver?: Resolver | undefined;
}
