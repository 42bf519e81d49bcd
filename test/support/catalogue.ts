import type { ConnectionErrorCode } from '../../src/errors.ts';
import type { LogLine } from './harness.ts';

/** A message of `diag`, or a process warning. `…` and the names in {@link PLACEHOLDERS} stand for parts that vary. */
export interface CatalogueEntry {
  readonly text: string;
  /** The test file that makes it happen, unless `test/messages.test.ts` does. */
  readonly test?: string;
}

export interface Message extends CatalogueEntry {
  readonly level: 'process warning' | 'error' | 'warn' | 'info' | 'debug';
}

const PLACEHOLDERS = {
  '…': '.+?',
  '<loss>': 'the (?:server (?:closed|reset) the connection|connection failed: .+?)',
  '<option or variable>': '(?:sharedKey|password|tls\\.\\w+|OTEL_EXPORTER_FLUENT_FORWARD_\\w+)(?: \\(.+?\\))?',
} as const;

/** Splits a text at its placeholders, which are among the parts. */
export const PLACEHOLDER: RegExp = new RegExp(`(${Object.keys(PLACEHOLDERS).join('|')})`);

/** How a message about a fault ends: what the exporter does next. */
const NEXT_STEPS = [
  '… unacknowledged record(s) in … chunk(s) will be sent again',
  '… unacknowledged record(s) in … chunk(s) will be sent again in … ms',
  '… record(s) wait, and the next try is in … ms',
  '… record(s) wait, and another connection is opened',
  'another connection is opened when there are records to send',
  'another address is tried',
  'the connection in use stays',
] as const;

const TLS = 'test/connection/tls.test.ts';
const AUTH = 'test/connection/auth.test.ts';
const UNIX = 'test/connection/unix.test.ts';
const HOSTILE = 'test/connection/hostile.test.ts';
const LOOKUPS = 'test/faults/lookups.test.ts';
const CONFIG = 'test/config/config.test.ts';
const COMPRESSION = 'test/compress/compressor.test.ts';
const SECURITY = 'test/config/security.test.ts';

const METRICS = 'test/telemetry/metrics.test.ts';
const REGISTER = 'test/register/register.test.ts';
const FAILURES = 'test/telemetry/failure-report.test.ts';
const LOSSES = 'test/telemetry/loss-report.test.ts';

/** The beginning of every message about records that a processor drops. */
const DROPPED = '…: … log record(s) dropped so far (…): ';

/** The beginning of every message with which `register` reports that it does nothing. */
const ASIDE = 'opentelemetry-exporter-fluent-forward/register steps aside and sends no log records';

type FaultCode = Exclude<ConnectionErrorCode, 'FLUENT_FORWARD_CLOSED'>;

/**
 * What is wrong with a connection, by the code of the error. The message is the endpoint with the
 * address, this, and the next step.
 */
export const FAULTS: Readonly<Record<FaultCode, readonly CatalogueEntry[]>> = {
  FLUENT_FORWARD_LOOKUP_FAILED: [{ text: 'no address for …: …' }],
  FLUENT_FORWARD_CREDENTIALS_UNREADABLE: [
    { text: '<option or variable>: …' },
    {
      text: '… cannot be used (does the key belong to the certificate, and is tls.passphrase that of the key?): …',
      test: TLS,
    },
    { text: '… does not hold whole certificates', test: TLS },
    { text: '… holds what is no certificate: …', test: TLS },
  ],
  FLUENT_FORWARD_CONNECT_FAILED: [
    { text: 'connection refused; is the receiver running, and listening there?' },
    { text: 'connection refused; is that a socket, and the receiver running?', test: UNIX },
    { text: 'there is no such socket; is the receiver running?', test: UNIX },
    { text: 'that is no socket', test: UNIX },
    { text: 'no permission to connect to the socket', test: UNIX },
    { text: 'the connect failed: …', test: UNIX },
    { text: '<loss> before it said HELO', test: AUTH },
  ],
  FLUENT_FORWARD_CONNECT_TIMEOUT: [
    { text: 'the name lookup took longer than … ms', test: LOOKUPS },
    { text: 'reading the certificates and secrets took longer than … ms; no answer from …', test: TLS },
    { text: 'the connect took longer than … ms', test: LOOKUPS },
    { text: 'the TLS handshake took longer than … ms; does the server speak TLS there?', test: TLS },
    {
      text: 'no HELO within … ms: the server wants no shared key; remove sharedKey, or add <security> (Fluentd) or shared_key (Fluent Bit) there; or does it speak TLS, as tls:// would?',
    },
    {
      text: 'no HELO within … ms: the server wants no shared key; remove sharedKey, or add <security> (Fluentd) or shared_key (Fluent Bit) there',
    },
    { text: 'no PONG within … ms: the server does not answer the authentication' },
  ],
  FLUENT_FORWARD_TLS_FAILED: [
    { text: "the server's certificate, or one above it, has expired", test: TLS },
    { text: "the server's certificate, or one above it, is not valid yet", test: TLS },
    { text: "the server's certificate is by an authority that is not in …; tls.ca has to hold it", test: TLS },
    { text: "the server's certificate is for …, and not for …; is tls.serverName right?", test: TLS },
    { text: 'the server does not answer in TLS; does it want tcp://?' },
    { text: 'the server speaks no version of TLS from tls.minVersion on', test: TLS },
    {
      text: 'the server refuses the TLS handshake (…); it probably wants a client certificate (tls.cert and tls.key)',
      test: TLS,
    },
    { text: "the server refuses the TLS handshake (…); look at this client's certificate, …", test: TLS },
    {
      text: '<loss> right after the TLS handshake; it probably wants a client certificate (tls.cert and tls.key)',
    },
    { text: "<loss> right after the TLS handshake; it probably refuses this client's certificate, …", test: TLS },
    { text: '<loss> in the TLS handshake; does it speak TLS there, and does it want a client certificate?', test: TLS },
    { text: 'the TLS handshake failed: …' },
  ],
  FLUENT_FORWARD_AUTH_FAILED: [
    { text: 'the server sent HELO: it wants a shared key; set sharedKey or OTEL_EXPORTER_FLUENT_FORWARD_SHARED_KEY' },
    { text: 'the server refuses this client: "…"; check sharedKey' },
    { text: 'the server refuses this client: "…"; check username and password' },
    { text: 'the server refuses this client: "…"; look at the <security> section of the server' },
    { text: '<loss> in place of answering PING, as Fluent Bit does when the shared key is wrong; check sharedKey' },
  ],
  FLUENT_FORWARD_SERVER_UNTRUSTED: [
    { text: 'the server does not prove that it knows the shared key; it may be an impostor, and is sent nothing' },
    {
      text: 'the server calls itself …, as this client does, and so proves nothing; give the client another name (hostname)',
    },
  ],
  FLUENT_FORWARD_CONNECTION_LOST: [
    { text: '<loss>' },
    { text: '<loss> before it said anything; is it overloaded, or does it want TLS (tls://)?' },
  ],
  FLUENT_FORWARD_ACK_TIMEOUT: [
    { text: 'no ack within … ms' },
    {
      text: "no ack within … ms; Fluentd's in_unix never acknowledges: use its in_forward, or Fluent Bit's unix_path",
      test: UNIX,
    },
    { text: 'the server has read nothing for … ms', test: TLS },
  ],
  FLUENT_FORWARD_ACK_SKIPPED: [{ text: 'the server acknowledged a later chunk and not this one' }],
  FLUENT_FORWARD_NOT_ACCEPTED: [{ text: 'the server answered a chunk without accepting it' }],
  FLUENT_FORWARD_BAD_ANSWER: [
    { text: 'the server answered with …' },
    { text: 'the server answered out of turn, when … was due' },
    { text: 'the server began another handshake', test: AUTH },
    { text: 'the server has sent … bytes that acknowledge nothing', test: HOSTILE },
    { text: 'an answer of the server is incomplete after … ms', test: HOSTILE },
  ],
};

export const MESSAGES: readonly Message[] = [
  {
    level: 'warn',
    text: '…: a chunk of … bytes (… record(s), tag …) is not acknowledged although others are: receivers probably refuse it; compare chunk_size_limit (Fluentd) and buffer_max_size (Fluent Bit) with maxChunkBytes; trying on until the deadline',
  },
  { level: 'warn', text: 'name lookup for … failed (…); going on with the last answer, … address(es)' },
  { level: 'warn', text: 'name lookup for … failed (…); going on with the other endpoints' },
  {
    level: 'warn',
    text: "the resolver's answer for … has … unusable address(es), which are left out; the first is …",
    test: 'test/endpoint/addresses.test.ts',
  },
  { level: 'warn', text: '…: the certificates cannot be read anew (…); going on with the last good ones', test: TLS },
  { level: 'warn', text: '…: the secrets cannot be read anew (…); going on with the last good ones' },
  { level: 'warn', text: '…: dropped … of … log records: it takes more than … bytes, the most a receiver accepts' },
  { level: 'warn', text: '…: dropped … of … log records: it cannot be read: …' },
  { level: 'warn', text: '…: dropped … of … log records: the layout function threw: …' },
  {
    level: 'warn',
    text: '…: dropped … of … log records: the layout function returned …, neither a plain object nor undefined',
  },
  { level: 'warn', text: '…: the tag function threw: …; using opentelemetry.logs' },
  { level: 'warn', text: '…: the tag function returned …, no string; using opentelemetry.logs' },
  { level: 'warn', text: '…: … of … log records got the tag …: a batch may have 64 tags, as each costs a message' },
  {
    level: 'warn',
    text: '…: log records have event names, which Fluent Bit drops; set eventNameAttribute to true to send them as the attribute otel.event.name too, or to false if they may be lost',
  },
  { level: 'warn', text: '…: the result callback of export() threw: …' },
  { level: 'warn', text: '…: the meter threw: …; this measurement is lost', test: METRICS },
  { level: 'warn', text: '…: the meter provider threw: …; no metrics are recorded', test: METRICS },
  { level: 'warn', text: 'OTEL_EXPORTER_FLUENT_FORWARD_…: got …, allowed: …; using …', test: CONFIG },
  {
    level: 'warn',
    text: 'both OTEL_EXPORTER_FLUENT_FORWARD_… and OTEL_EXPORTER_FLUENT_FORWARD_…_FILE are set; using the file',
  },
  {
    level: 'warn',
    text: '… is set, and tls.… (OTEL_EXPORTER_FLUENT_FORWARD_…) is not; using no client certificate',
    test: SECURITY,
  },
  {
    level: 'warn',
    text: 'ackTimeoutMillis (…) must be less than timeoutMillis (…); otherwise an unanswered chunk is never sent to another receiver',
  },
  {
    level: 'warn',
    text: 'timeoutMillis (…) must be less than …, after which BatchLogRecordProcessor by default gives up on an export that still runs',
  },
  {
    level: 'warn',
    text: 'maxChunkBytes (…) is above …: larger chunks are sent without …, as receivers would lose them',
    test: CONFIG,
  },
  { level: 'warn', text: '…: … failed: …; chunks are sent uncompressed', test: COMPRESSION },
  { level: 'warn', text: '…: …: a fault of this package: …; the chunk may be lost', test: COMPRESSION },
  { level: 'warn', text: 'username and password are not used: without sharedKey there is no handshake' },
  { level: 'warn', text: 'username and password: set both or neither' },
  { level: 'warn', text: '… set, but … is not encrypted: tls:// and srv+tls:// endpoints are' },
  {
    level: 'warn',
    text: 'tls.insecureSkipVerify is set: … may be anybody, and whoever can redirect the traffic reads the log records',
  },
  {
    level: 'warn',
    text: '…: a flush has ended: …; … log record(s) are not acknowledged; they are kept, and sent again',
    test: REGISTER,
  },
  {
    level: 'warn',
    text: '…: the resource of log records is incomplete: …; they are sent with what is known of it',
    test: 'test/pipeline/pending-resources.test.ts',
  },
  {
    level: 'error',
    text: '…: … export(s) with … unacknowledged log record(s) failed in … s, and no more since then; code: …',
    test: FAILURES,
  },
  {
    level: 'error',
    text: `${DROPPED}maxInFlightBytes (…) is three quarters full, and their severity is below WARN; is the receiver up and fast enough? If it is, raise maxInFlightBytes`,
    test: LOSSES,
  },
  {
    level: 'error',
    text: `${DROPPED}maxInFlightBytes (…) is reached; is the receiver up and fast enough? If it is, raise maxInFlightBytes`,
    test: LOSSES,
  },
  {
    level: 'error',
    text: `${DROPPED}they cannot be encoded (…); correct the code that logs them, or the layout function`,
    test: LOSSES,
  },
  {
    level: 'error',
    text: `${DROPPED}receivers refuse them (…); compare chunk_size_limit (Fluentd) and buffer_max_size (Fluent Bit) with maxChunkBytes`,
    test: LOSSES,
  },
  {
    level: 'error',
    text: `${DROPPED}they came after shutdown(), or were not acknowledged when it ended; call shutdown() last, and see whether the receiver is up`,
    test: LOSSES,
  },
  {
    level: 'error',
    text: '…: … log record(s) dropped in … s (…), and none since then for this reason: …',
    test: LOSSES,
  },
  {
    level: 'warn',
    text: '…: what is not acknowledged at process.exit() or an uncaught error will be lost: under --permission, sending it needs --allow-worker',
    test: 'test/exit/runtimes.test.ts',
  },
  {
    level: 'error',
    text: 'opentelemetry-exporter-fluent-forward: … log record(s) were lost when the process ended: …',
    test: REGISTER,
  },
  { level: 'warn', text: 'OTEL_…: got …, allowed: …; using …', test: 'test/register/variables.test.ts' },
  { level: 'warn', text: 'OTEL_NODE_RESOURCE_DETECTORS: got …, allowed: …; it is left out', test: REGISTER },
  { level: 'warn', text: 'OTEL_NODE_RESOURCE_DETECTORS: … needs …: npm install …', test: REGISTER },
  { level: 'warn', text: 'OTEL_NODE_RESOURCE_DETECTORS: … cannot be loaded: …; it is left out', test: REGISTER },
  {
    level: 'info',
    text: 'log records go to …, with the tag …, the layout … and the service name …',
    test: REGISTER,
  },
  {
    level: 'info',
    text: 'not one log record came in this process: does the application log through the logs API of OpenTelemetry, or is the instrumentation of its logger (pino, winston, bunyan) installed and loaded?',
    test: REGISTER,
  },
  {
    level: 'info',
    text: 'these variables have no effect: …; FluentForwardLogRecordProcessor has no queue, and OTEL_EXPORTER_FLUENT_FORWARD_MAX_IN_FLIGHT_BYTES limits what it holds',
    test: REGISTER,
  },
  {
    level: 'process warning',
    text: '… of … log records were not acknowledged by …: …',
    test: FAILURES,
  },
  { level: 'process warning', text: `${ASIDE}: OTEL_LOGS_EXPORTER is …`, test: REGISTER },
  { level: 'process warning', text: `${ASIDE}: a logger provider is registered already`, test: REGISTER },
  { level: 'process warning', text: `${ASIDE}: @opentelemetry/sdk-logs is not installed`, test: REGISTER },
  {
    level: 'process warning',
    text: `${ASIDE}: @opentelemetry/sdk-logs … is installed, and >=0.220.0 <0.300.0 or ^3.0.0 is needed`,
    test: REGISTER,
  },
  { level: 'process warning', text: `${ASIDE}: @opentelemetry/sdk-logs … cannot be loaded: …`, test: REGISTER },
  { level: 'info', text: 'connected to …' },
  { level: 'warn', text: 'connected to … again after … s, … records resent, … failed' },
  { level: 'debug', text: 'connected to …' },
  { level: 'debug', text: 'rotated from … to …' },
];

const NAMESPACE = 'opentelemetry-exporter-fluent-forward ';
/** At the end of a message about records that are not acknowledged. */
const LAST_FAULT = '(?:; last fault: .+?)?';
/** At the end of a warning that was logged before. */
const REPEATED = '(?: \\(and \\d+ like it since the last such message\\))?';

/** Whether a line of the log is the message. */
export function isMessage([level, line]: LogLine, message: Message): boolean {
  return level === message.level && patternOfMessage(message).test(line);
}

/** Whether a line of the log reports the fault and a next step. */
export function isFault([, line]: LogLine, fault: CatalogueEntry): boolean {
  return patternOfFault(fault).test(line);
}

function patternOfMessage({ text }: CatalogueEntry): RegExp {
  return new RegExp(`^${NAMESPACE}${patternOf(text)}${LAST_FAULT}${REPEATED}$`, 's');
}

function patternOfFault({ text }: CatalogueEntry): RegExp {
  const next = NEXT_STEPS.map(patternOf).join('|');
  return new RegExp(`^${NAMESPACE}.+?: ${patternOf(text)}; (?:${next})${REPEATED}$`, 's');
}

function patternOf(text: string): string {
  return text
    .split(PLACEHOLDER)
    .map((part) => PLACEHOLDERS[part as keyof typeof PLACEHOLDERS] ?? part.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'))
    .join('');
}

const KNOWN: readonly { readonly level?: LogLine[0]; readonly pattern: RegExp }[] = [
  ...MESSAGES.map((message) => ({ level: message.level, pattern: patternOfMessage(message) })),
  ...Object.values(FAULTS)
    .flat()
    .map((fault) => ({ pattern: patternOfFault(fault) })),
];

/** The lines of this package that the catalogue does not hold. */
export function unknownMessages(log: readonly LogLine[]): readonly LogLine[] {
  return log.filter(
    ([at, line]) =>
      line.startsWith(NAMESPACE) && !KNOWN.some(({ level = at, pattern }) => level === at && pattern.test(line)),
  );
}
