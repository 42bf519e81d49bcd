import type { MeterProvider } from '@opentelemetry/api';
import type { CompressionName } from '../compress/codecs.ts';
import type { LayoutFunction } from '../encode/layout/custom.ts';
import type { LayoutName } from '../encode/layout/layouts.ts';
import type { TagFunction } from '../encode/tag.ts';
import type { EndpointOptions, NetworkEndpoint } from './endpoint.ts';
import type { TextOrFunction } from './source.ts';

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
 * Finds the addresses of an endpoint that is no Unix socket. It is called at every dial, for dials at
 * the same time once. When it rejects, gives nothing, or takes longer than half of
 * `connectTimeoutMillis` (for the first answer of a single endpoint: all of it), its last good answer
 * stays in use, and the next dial calls it again. An answer that comes later is used by the next dial.
 * What is no IP address in an answer is left out, with a warning; an answer of nothing else counts as none.
 */
export type Resolver = (endpoint: NetworkEndpoint) => Promise<readonly ResolvedAddress[]>;

/**
 * How `tls://` and `srv+tls://` endpoints are dialled. `ca`, `cert` and `key` are PEM text, the path of a PEM file, or a
 * function that gives either; files and functions are read anew at each dial. While what they give is
 * unreadable or broken, or takes longer than half of `connectTimeoutMillis`, the last good one stays in
 * use, with a warning. No TLS session is resumed: every dial verifies the certificates.
 */
export interface TlsOptions {
  /** The authorities to trust, in place of Node's own and those of `NODE_EXTRA_CA_CERTS`. [`CERTIFICATE`] */
  ca?: TextOrFunction | undefined;
  /** The certificate of this client, with those between it and its authority behind it. [`CLIENT_CERTIFICATE`] */
  cert?: TextOrFunction | undefined;
  /** The private key of `cert`. [`CLIENT_KEY`] */
  key?: TextOrFunction | undefined;
  /** What `key` is encrypted with: the text itself, or a function that gives it. */
  passphrase?: TextOrFunction | undefined;
  /** The name that the server's certificate has to contain. Default: the host of the endpoint; for SRV names the part after `_service._proto.`. */
  serverName?: string | undefined;
  /** The oldest version of TLS to speak. Default `TLSv1.2`. */
  minVersion?: 'TLSv1.2' | 'TLSv1.3' | undefined;
  /** Accepts any certificate of any server, which makes TLS useless against whoever can redirect the traffic. Default false. [`INSECURE_SKIP_VERIFY`] */
  insecureSkipVerify?: boolean | undefined;
}

/**
 * The options that `FluentForwardLogExporter` and `FluentForwardLogRecordProcessor` share. If an option is not set, its
 * environment variable is used (`OTEL_EXPORTER_FLUENT_FORWARD_…`, named behind the option), and else its default.
 */
export interface FluentForwardOptions {
  /**
   * The receivers: one endpoint, several with commas between them, or an array. Names are looked up
   * at every dial, and all their addresses count. Default `tcp://localhost:24224`. [`ENDPOINT`]
   */
  endpoint?: string | EndpointOptions | readonly (string | EndpointOptions)[] | undefined;
  /**
   * The Forward tag: the same for every record, or a template such as
   * `app.${resource.service.name}.${severity_text:-none}`, or a function. Default `opentelemetry.logs`. [`TAG`]
   */
  tag?: string | TagFunction | undefined;
  /**
   * How a record becomes an entry: `default`, `flat` (attributes at the top level), `otlp` (all that
   * OTLP has; for Fluent Bit only), or a function. Default `default`. [`LAYOUT`]
   */
  layout?: LayoutName | LayoutFunction | undefined;
  /** Which attributes of the resource are sent: all, none, or those named. Default true. [`RESOURCE_ATTRIBUTES`] */
  resourceAttributes?: boolean | readonly string[] | undefined;
  /**
   * Fields that every entry gets: at the top level of the record, with the layout `otlp` as attributes
   * unless the record has one of the same name. A plain object, in whose names is no NUL, lone surrogate,
   * U+2400 or U+FFFD: such a name could be in a record twice.
   */
  fields?: Readonly<Record<string, unknown>> | undefined;
  /**
   * Whether every record gets the attribute `log.record.uid`, unless it has one of use: unique, sortable by
   * time, and the same when the record is sent again. Default false. [`RECORD_UID`]
   */
  recordUid?: boolean | undefined;
  /**
   * With the layout `otlp`, whether an event name, which Fluent Bit drops, is also sent as the
   * attribute `otel.event.name`. Unset: it is not, and a warning says so. [`EVENT_NAME_ATTRIBUTE`]
   */
  eventNameAttribute?: boolean | undefined;
  /**
   * Time for the ack of one chunk on one connection, in milliseconds: since its last bytes left, or since the ack of an
   * earlier chunk. Also the time after which a connection is left on which neither bytes leave nor acks come.
   * Default 5000. [`ACK_TIMEOUT`]
   */
  ackTimeoutMillis?: number | undefined;
  /** Time for one dial: name lookup, certificates, connect, TLS and handshake together. Default 5000. [`CONNECT_TIMEOUT`] */
  connectTimeoutMillis?: number | undefined;
  /**
   * How long a `forceFlush()` or `shutdown()` waits for the next ack, in milliseconds. It takes at most 25 s, whatever is
   * acknowledged meanwhile. After that, the exporter fails what was in flight when it was called, and the processor keeps
   * it and logs a warning. Default 10000. [`FLUSH_TIMEOUT`]
   */
  flushTimeoutMillis?: number | undefined;
  /**
   * Whether records that are not acknowledged at the end of the process are sent then: at `beforeExit` by a flush, and at
   * `exit` (`process.exit()`, an uncaught error, an unhandled rejection) by a worker thread, for which the process waits.
   * Records that wait in another processor cannot be sent. Default true. [`FLUSH_AT_EXIT`]
   */
  flushAtExit?: boolean | undefined;
  /**
   * How long the process waits at `exit`, in milliseconds. The longest one counts for all exporters and processors
   * together. Default 2000, and 5000 if an endpoint is `tls://` or `srv+tls://`. [`EXIT_TIMEOUT`]
   */
  exitTimeoutMillis?: number | undefined;
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
   * Bytes that are encoded and not acknowledged. While they reach this, `export()` fails at once, before encoding, and
   * the processor drops new records. Above three quarters of it, the processor drops new records below WARN. Each chunk
   * counts at least 1024. One record may exceed it; so may, for a moment, records that waited for their resource, when it
   * is known. Default 33554432. [`MAX_IN_FLIGHT_BYTES`]
   */
  maxInFlightBytes?: number | undefined;
  /**
   * The key that the receiver's `<security>` section holds: a string of 1 to 1024 bytes, or a function
   * that gives it, called at each handshake. With it no record is sent before both sides have proved
   * that they know it. The variable [`SHARED_KEY_FILE`] names a file, read at each handshake. [`SHARED_KEY`]
   */
  sharedKey?: TextOrFunction | undefined;
  /** The user, where the receiver authenticates users; only with `sharedKey`. At most 255 bytes. [`USERNAME`] */
  username?: string | undefined;
  /** The password of `username`, given like `sharedKey`. [`PASSWORD`, or a file: `PASSWORD_FILE`] */
  password?: TextOrFunction | undefined;
  /**
   * The name of this client in the handshake; must not be that of the receiver. At most 255 bytes.
   * Default `<os hostname>/otel-<8 hex>`, the same for a whole process. [`HOSTNAME`]
   */
  hostname?: string | undefined;
  /** Certificates and verification of `tls://` and `srv+tls://` endpoints. */
  tls?: TlsOptions | undefined;
  /** Replaces DNS, for all endpoints but Unix sockets. */
  resolver?: Resolver | undefined;
  /**
   * How chunks are compressed: not, with `gzip`, or with `zstd`, which Node.js has from 22.15 on, Fluentd from
   * 1.19 and Fluent Bit from 4.1. Default `none`. [`COMPRESSION`]
   */
  compression?: CompressionName | undefined;
  /** From 1, the fastest, to 9 with `gzip` or 19 with `zstd`. Default 1. [`COMPRESSION_LEVEL`] */
  compressionLevel?: number | undefined;
  /**
   * Where the exporter's own metrics go: a provider, or with `true` the global one of the API, which
   * may also be set later. Default: there are none.
   */
  selfObsMeterProvider?: MeterProvider | true | undefined;
}

/** Options of `FluentForwardLogExporter`. */
export interface FluentForwardLogExporterOptions extends FluentForwardOptions {
  /** Time for one `export()`, retries included, in milliseconds. Default 25000. [`TIMEOUT`] */
  timeoutMillis?: number | undefined;
}

/** Options of `FluentForwardLogRecordProcessor`. */
export interface FluentForwardLogRecordProcessorOptions extends FluentForwardOptions {
  /**
   * How long records wait for others to be sent with them, in milliseconds. 0 sends them in the next turn of the event
   * loop. Default 200. [`SCHEDULE_DELAY`]
   */
  scheduledDelayMillis?: number | undefined;
}
