import type { MeterProvider } from '@opentelemetry/api';
import { CODECS, COMPRESSION_NAMES, type CompressionName, codecOf } from '../compress/codecs.ts';
import { copyOf } from '../encode/field.ts';
import type { LayoutFunction } from '../encode/layout/custom.ts';
import { LAYOUT_NAMES, type LayoutName } from '../encode/layout/layouts.ts';
import { MESSAGE_CEILING_BYTES } from '../encode/message.ts';
import type { ResourceAttributes } from '../encode/resource.ts';
import { DEFAULT_TAG, MAX_TAG_BYTES, parseTag, TAG_RULE, type TagFunction, type TagTemplate } from '../encode/tag.ts';
import { isPlainObject } from '../plain-object.ts';
import {
  ENDPOINT_RULE,
  type Endpoint,
  hasEndpointType,
  isEncrypted,
  parseEndpoints,
  urlsOf,
  withoutSecrets,
} from './endpoint.ts';
import { parseBoolean } from './env.ts';
import { processHostname } from './hostname.ts';
import type { Resolver } from './options.ts';
import { type Rule, type Rules, show } from './rule.ts';
import { boolean, handshakeName, integer, millis, pem, secret, text, textOrFunction } from './rule-kinds.ts';
import type { Source } from './source.ts';

/** The options that exporter and processor share, and whose rules depend on no other option. */
export interface GeneralConfig {
  readonly endpoint: readonly Endpoint[];
  readonly tag: string | TagTemplate | TagFunction;
  readonly layout: LayoutName | LayoutFunction;
  readonly resourceAttributes: ResourceAttributes;
  readonly fields: Readonly<Record<string, unknown>>;
  readonly recordUid: boolean;
  readonly eventNameAttribute: boolean | undefined;
  readonly ackTimeoutMillis: number;
  readonly connectTimeoutMillis: number;
  readonly flushTimeoutMillis: number;
  readonly flushAtExit: boolean;
  readonly rotationIntervalMillis: number;
  readonly connections: number;
  readonly maxInFlightChunks: number;
  readonly maxChunkBytes: number;
  readonly maxStringBytes: number;
  readonly maxInFlightBytes: number;
  readonly sharedKey: Source | undefined;
  readonly username: string | undefined;
  readonly password: Source | undefined;
  readonly hostname: string;
  readonly resolver: Resolver | undefined;
  readonly compression: CompressionName;
  readonly selfObsMeterProvider: MeterProvider | true | undefined;
}

/** The options that only the exporter has. */
export interface ExporterOnlyConfig {
  readonly timeoutMillis: number;
}

/** The options that only the processor has. */
export interface ProcessorOnlyConfig {
  readonly scheduledDelayMillis: number;
}

/** The options below `tls`. */
export interface TlsConfig {
  readonly ca: Source | undefined;
  readonly cert: Source | undefined;
  readonly key: Source | undefined;
  readonly passphrase: Source | undefined;
  readonly serverName: string | undefined;
  readonly minVersion: 'TLSv1.2' | 'TLSv1.3';
  readonly insecureSkipVerify: boolean;
}

const DEFAULT_ENDPOINT = parseEndpoints('tcp://localhost');
/** The highest level of any compression. Without compression the level has no effect. */
const MAX_LEVEL = Math.max(...Object.values(CODECS).map(({ maxLevel }) => maxLevel));

export const RULES: Rules<GeneralConfig> = {
  endpoint: {
    ...text,
    allowed: ENDPOINT_RULE,
    variable: 'ENDPOINT',
    fallback: DEFAULT_ENDPOINT,
    shownFallback: urlsOf(DEFAULT_ENDPOINT),
    shown: withoutSecrets,
    hasType: hasEndpointType,
    accept: parseEndpoints,
  },
  tag: { ...textOrFunction, allowed: TAG_RULE, variable: 'TAG', fallback: DEFAULT_TAG, accept: acceptTag },
  layout: {
    ...textOrFunction,
    allowed: `${LAYOUT_NAMES.join(', ')} or a function (record, entry) => object | undefined`,
    variable: 'LAYOUT',
    fallback: 'default',
    accept: (value) =>
      typeof value === 'function' ? (value as LayoutFunction) : LAYOUT_NAMES.find((name) => name === value),
    parse: ({ text }) => text.toLowerCase(),
  },
  resourceAttributes: {
    allowed: 'true, false or a list of attribute names',
    variable: 'RESOURCE_ATTRIBUTES',
    fallback: true,
    hasType: (value) =>
      typeof value === 'boolean' || (Array.isArray(value) && value.every((name) => typeof name === 'string')),
    accept: (value) => (Array.isArray(value) ? Object.freeze([...value]) : (value as boolean)),
    parse: ({ text }) => parseBoolean(text) ?? text.split(',').map((name) => name.trim()),
  },
  fields: {
    allowed: 'a plain object with a property for each field, in whose name is no NUL, lone surrogate, U+2400 or U+FFFD',
    fallback: {},
    hasType: isPlainObject,
    accept: acceptFields,
    parse: () => undefined,
  },
  recordUid: boolean('RECORD_UID', false),
  eventNameAttribute: boolean('EVENT_NAME_ATTRIBUTE', undefined),
  ackTimeoutMillis: millis('ACK_TIMEOUT', 5_000),
  connectTimeoutMillis: millis('CONNECT_TIMEOUT', 5_000),
  flushTimeoutMillis: millis('FLUSH_TIMEOUT', 10_000),
  flushAtExit: boolean('FLUSH_AT_EXIT', true),
  rotationIntervalMillis: millis('ROTATION_INTERVAL', 60_000, 0),
  connections: integer('CONNECTIONS', 1, 256, 1),
  maxInFlightChunks: integer('MAX_IN_FLIGHT_CHUNKS', 1, 1024, 8),
  maxChunkBytes: integer('MAX_CHUNK_BYTES', 2048, MESSAGE_CEILING_BYTES, 1_000_000),
  maxStringBytes: integer('MAX_STRING_BYTES', 64, MESSAGE_CEILING_BYTES, 262_144),
  maxInFlightBytes: integer('MAX_IN_FLIGHT_BYTES', 1024, Number.MAX_SAFE_INTEGER, 33_554_432),
  sharedKey: secret('SHARED_KEY'),
  username: { ...handshakeName, variable: 'USERNAME', fallback: undefined, parse: ({ verbatim }) => verbatim },
  password: secret('PASSWORD'),
  hostname: { ...handshakeName, variable: 'HOSTNAME', fallback: processHostname() },
  resolver: {
    allowed: 'a function (endpoint) => Promise<{ address, port?, priority?, weight? }[]>',
    fallback: undefined,
    hasType: (value) => typeof value === 'function',
    accept: (value) => value as Resolver,
    parse: () => undefined,
  },
  compression: {
    ...text,
    allowed: COMPRESSION_NAMES.join(', '),
    variable: 'COMPRESSION',
    fallback: 'none',
    accept: acceptCompression,
    parse: ({ text }) => text.toLowerCase(),
  },
  selfObsMeterProvider: {
    allowed: 'a MeterProvider, or true for the global one',
    fallback: undefined,
    hasType: (value) => value === true || typeof (value as MeterProvider | null)?.getMeter === 'function',
    accept: (value) => value as MeterProvider | true,
    parse: () => undefined,
  },
};

export const EXPORTER_RULES: Rules<ExporterOnlyConfig> = { timeoutMillis: millis('TIMEOUT', 25_000) };

export const PROCESSOR_RULES: Rules<ProcessorOnlyConfig> = { scheduledDelayMillis: millis('SCHEDULE_DELAY', 200, 0) };

export const TLS_RULES: Rules<TlsConfig> = {
  ca: pem('CERTIFICATE'),
  cert: pem('CLIENT_CERTIFICATE'),
  key: pem('CLIENT_KEY'),
  passphrase: secret(),
  serverName: {
    ...text,
    allowed: 'the name or IP address in a certificate',
    fallback: undefined,
    accept: (value) => (/^[\w.:-]{1,253}$/.test(String(value)) ? String(value) : undefined),
  },
  minVersion: {
    ...text,
    allowed: 'TLSv1.2 or TLSv1.3',
    fallback: 'TLSv1.2',
    accept: (value) => (value === 'TLSv1.2' || value === 'TLSv1.3' ? value : undefined),
  },
  insecureSkipVerify: boolean('INSECURE_SKIP_VERIFY', false),
};

/** A dial over TLS takes several round trips, and longer on the receiver's side. */
export function exitTimeoutRule(endpoints: readonly Endpoint[]): Rule<number> {
  return millis('EXIT_TIMEOUT', endpoints.some(isEncrypted) ? 5_000 : 2_000);
}

/** The allowed levels depend on the compression. */
export function levelRule(compression: CompressionName): Rule<number> {
  return integer('COMPRESSION_LEVEL', 1, codecOf(compression)?.maxLevel ?? MAX_LEVEL, 1);
}

function acceptTag(value: unknown): GeneralConfig['tag'] | undefined {
  if (typeof value === 'function') return value as TagFunction;
  const tag = String(value);
  // Fluent Bit acknowledges and loses records with an empty tag.
  return tag !== '' && Buffer.byteLength(tag) <= MAX_TAG_BYTES ? parseTag(tag) : undefined;
}

/** Throws if the running version of Node.js does not have the compression. */
function acceptCompression(value: unknown): CompressionName | undefined {
  const name = COMPRESSION_NAMES.find((known) => known === value);
  if (name !== undefined) codecOf(name);
  return name;
}

/** The encoder replaces NUL and lone surrogates in names, by the other two characters. */
const REPLACED = ['\0', '\u2400', '\ufffd'];

/** Rejects names that the encoder changes, or that other names are changed to: a record could have two such fields. */
function acceptFields(value: unknown): GeneralConfig['fields'] {
  const fields = copyOf(value) ?? {};
  for (const name of Object.keys(fields)) {
    if (!name.isWellFormed() || REPLACED.some((character) => name.includes(character))) {
      throw new RangeError(`the name ${show(name)}`);
    }
  }
  return fields;
}
