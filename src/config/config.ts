import type { MeterProvider } from '@opentelemetry/api';
import { type CompressionName, codecOf } from '../compress/create.ts';
import { isPlainObject } from '../encode/deep-copy.ts';
import { copyOf } from '../encode/field.ts';
import type { LayoutName } from '../encode/layout/create.ts';
import type { LayoutFunction } from '../encode/layout/custom.ts';
import type { ResourceAttributes } from '../encode/resource.ts';
import { DEFAULT_TAG, MAX_TAG_BYTES, parseTag, TAG_RULE, type TagFunction, type TagTemplate } from '../encode/tag.ts';
import { messageOf } from '../errors.ts';
import { printable } from '../printable.ts';
import { MAX_NAME_BYTES } from '../protocol/handshake.ts';
import {
  ENDPOINT_RULE,
  type Endpoint,
  hasEndpointType,
  parseEndpoints,
  urlsOf,
  withoutPassword,
  withoutSecrets,
} from './endpoint.ts';
import { type Environment, parseBoolean, parseInteger, readVariable, VARIABLE_PREFIX, type Variable } from './env.ts';
import { processHostname } from './hostname.ts';
import type { FluentForwardLogExporterOptions, Resolver, TlsOptions } from './options.ts';
import { isPemOrPath, isSecret, SECRET_RULE, Source, type TextOrFunction } from './source.ts';

/** What the options, the environment and the defaults come to. */
export interface Config {
  readonly endpoint: readonly Endpoint[];
  readonly tag: string | TagTemplate | TagFunction;
  readonly layout: LayoutName | LayoutFunction;
  readonly resourceAttributes: ResourceAttributes;
  readonly fields: Readonly<Record<string, unknown>>;
  readonly recordUid: boolean;
  readonly eventNameAttribute: boolean | undefined;
  readonly timeoutMillis: number;
  readonly ackTimeoutMillis: number;
  readonly connectTimeoutMillis: number;
  readonly flushTimeoutMillis: number;
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
  readonly compressionLevel: number;
  readonly selfObsMeterProvider: MeterProvider | true | undefined;
  readonly tls: TlsConfig;
}

export interface TlsConfig {
  readonly ca: Source | undefined;
  readonly cert: Source | undefined;
  readonly key: Source | undefined;
  readonly passphrase: Source | undefined;
  readonly serverName: string | undefined;
  readonly minVersion: 'TLSv1.2' | 'TLSv1.3';
  readonly insecureSkipVerify: boolean;
}

/**
 * The most bytes a message may have. Fluent Bit closes the connection over 6,144,000.
 */
export const MESSAGE_CEILING_BYTES = 6_000_000;

/** BatchLogRecordProcessor gives up on an export after this long. */
const PROCESSOR_TIMEOUT_MILLIS = 30_000;
const MAX_MILLIS = 2 ** 31 - 1;

interface Rule<T> {
  /** What the option takes, for messages. */
  readonly allowed: string;
  /** The environment variable's suffix; absent when only code can set the option. */
  readonly variable?: string;
  /** The suffix of the variable that names a file with the value in it; it goes before `variable`. */
  readonly fileVariable?: string;
  /** Whether no message may hold a value of it. */
  readonly isHidden?: boolean;
  /** What a message shows of a text that is not allowed; by default all but a password in a URL. */
  readonly shown?: (text: string) => string;
  readonly fallback: T;
  /** The error class for a value of the right type that is not allowed is `RangeError`. */
  hasType(value: unknown): boolean;
  /**
   * The value to use, or `undefined` when it is not allowed; it may also throw an error that says why.
   * `origin` is the option's or the variable's name.
   */
  accept(value: unknown, origin: string): T | undefined;
  /** The value that a variable stands for; not allowed ones are refused by `accept`. */
  parse(variable: Variable): unknown;
}

type Rules<T> = { readonly [K in keyof T]: Rule<T[K]> };

function integer(variable: string, min: number, max: number, fallback: number): Rule<number> {
  return {
    allowed: `an integer from ${min} to ${max}`,
    variable,
    fallback,
    hasType: (value) => typeof value === 'number',
    accept: (value) =>
      Number.isInteger(value) && Number(value) >= min && Number(value) <= max ? Number(value) : undefined,
    parse: ({ text }) => parseInteger(text),
  };
}

const millis = (variable: string, fallback: number, min = 1): Rule<number> =>
  integer(variable, min, MAX_MILLIS, fallback);

function boolean<T extends boolean | undefined>(variable: string, fallback: T): Rule<boolean | T> {
  return {
    allowed: 'true or false',
    variable,
    fallback,
    hasType: (value) => typeof value === 'boolean',
    accept: (value) => value as boolean,
    parse: ({ text }) => parseBoolean(text),
  };
}

const COMPRESSIONS: readonly CompressionName[] = ['none', 'gzip', 'zstd'];
/** The most that any compression takes; without one a level does no harm. */
const MAX_LEVEL = 19;

function acceptCompression(value: unknown): CompressionName | undefined {
  const name = COMPRESSIONS.find((known) => known === value);
  // It throws where this one is missing.
  if (name !== undefined) codecOf(name);
  return name;
}

function compressionLevel(compression: CompressionName): Rule<number> {
  return integer('COMPRESSION_LEVEL', 1, codecOf(compression)?.maxLevel ?? MAX_LEVEL, 1);
}

const LAYOUTS: readonly LayoutName[] = ['default', 'flat', 'otlp'];

/** Fluent Bit acknowledges and loses what has an empty tag. */
function acceptTag(value: unknown): Config['tag'] | undefined {
  if (typeof value === 'function') return value as TagFunction;
  const text = String(value);
  return text !== '' && Buffer.byteLength(text) <= MAX_TAG_BYTES ? parseTag(text) : undefined;
}

/** What a name becomes that receivers would not read, and what makes it such. */
const REPLACED = ['\0', '\u2400', '\ufffd'];

/** A field of a name that is replaced, or that another's becomes, would be in a record twice. */
function acceptFields(value: unknown): Config['fields'] {
  const fields = copyOf(value) ?? {};
  for (const name of Object.keys(fields)) {
    if (!name.isWellFormed() || REPLACED.some((character) => name.includes(character))) {
      throw new RangeError(`the name ${show(name)}`);
    }
  }
  return fields;
}

const text = {
  hasType: (value: unknown): boolean => typeof value === 'string',
  parse: (variable: Variable): unknown => variable.text,
};

const textOrFunction = {
  isHidden: true,
  fallback: undefined,
  hasType: (value: unknown): boolean => typeof value === 'string' || typeof value === 'function',
};

/** A secret; `variable` may hold it, and `<variable>_FILE` the path of a file with it. */
function secret(variable?: string): Rule<Source | undefined> {
  return {
    ...textOrFunction,
    allowed: `${SECRET_RULE}, or a function that gives one`,
    ...(variable === undefined ? {} : { variable, fileVariable: `${variable}_FILE` }),
    accept: (value, origin) =>
      typeof value === 'function' || isSecret(value) ? Source.secret(value as TextOrFunction, origin) : undefined,
    // White space may belong to it.
    parse: ({ verbatim }) => verbatim,
  };
}

function pem(variable: string): Rule<Source | undefined> {
  return {
    ...textOrFunction,
    allowed: 'PEM text, the path of a PEM file, or a function that gives either',
    variable,
    accept: (value, origin) =>
      typeof value === 'function' || isPemOrPath(value) ? Source.pem(value as TextOrFunction, origin) : undefined,
    parse: text.parse,
  };
}

/** A name in the handshake's PING. */
const name = {
  ...text,
  allowed: `a string of 1 to ${MAX_NAME_BYTES} bytes`,
  accept: (value: unknown): string | undefined => {
    const bytes = Buffer.from(String(value));
    // A lone surrogate would not survive the encoding that its digest is made over.
    const isWhole = bytes.toString() === value;
    return isWhole && bytes.length > 0 && bytes.length <= MAX_NAME_BYTES ? String(value) : undefined;
  },
};

const RULES: Rules<Omit<Config, 'compressionLevel' | 'tls'>> = {
  endpoint: {
    ...text,
    allowed: ENDPOINT_RULE,
    variable: 'ENDPOINT',
    fallback: parseEndpoints('tcp://localhost'),
    shown: withoutSecrets,
    hasType: hasEndpointType,
    accept: parseEndpoints,
  },
  tag: {
    ...text,
    allowed: TAG_RULE,
    variable: 'TAG',
    fallback: DEFAULT_TAG,
    hasType: (value) => typeof value === 'string' || typeof value === 'function',
    accept: acceptTag,
  },
  layout: {
    allowed: `${LAYOUTS.join(', ')} or a function (record, entry) => object | undefined`,
    variable: 'LAYOUT',
    fallback: 'default',
    hasType: (value) => typeof value === 'string' || typeof value === 'function',
    accept: (value) =>
      typeof value === 'function' ? (value as LayoutFunction) : LAYOUTS.find((name) => name === value),
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
  timeoutMillis: millis('TIMEOUT', 25_000),
  ackTimeoutMillis: millis('ACK_TIMEOUT', 5_000),
  connectTimeoutMillis: millis('CONNECT_TIMEOUT', 5_000),
  flushTimeoutMillis: millis('FLUSH_TIMEOUT', 10_000),
  rotationIntervalMillis: millis('ROTATION_INTERVAL', 60_000, 0),
  connections: integer('CONNECTIONS', 1, 256, 1),
  maxInFlightChunks: integer('MAX_IN_FLIGHT_CHUNKS', 1, 1024, 8),
  maxChunkBytes: integer('MAX_CHUNK_BYTES', 2048, MESSAGE_CEILING_BYTES, 1_000_000),
  maxStringBytes: integer('MAX_STRING_BYTES', 64, MESSAGE_CEILING_BYTES, 262_144),
  maxInFlightBytes: integer('MAX_IN_FLIGHT_BYTES', 1024, Number.MAX_SAFE_INTEGER, 33_554_432),
  sharedKey: secret('SHARED_KEY'),
  username: { ...name, variable: 'USERNAME', fallback: undefined, parse: ({ verbatim }) => verbatim },
  password: secret('PASSWORD'),
  hostname: { ...name, variable: 'HOSTNAME', fallback: processHostname() },
  resolver: {
    allowed: 'a function (endpoint) => Promise<{ address, port?, priority?, weight? }[]>',
    fallback: undefined,
    hasType: (value) => typeof value === 'function',
    accept: (value) => value as Resolver,
    parse: () => undefined,
  },
  compression: {
    ...text,
    allowed: COMPRESSIONS.join(', '),
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

const TLS_RULES: Rules<TlsConfig> = {
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

/**
 * Merges options, environment and defaults, field by field, in this order.
 * @throws TypeError for an unknown option or a value of the wrong type, RangeError for a value
 * that is not allowed. Bad variables are told to `warn` and count as unset.
 */
export function resolveConfig(
  options: FluentForwardLogExporterOptions,
  environment: Environment,
  warn: (message: string) => void,
): Config {
  checkNames('', options, [...Object.keys(RULES), 'compressionLevel', 'tls']);
  const { tls = {}, ...others } = options;
  checkNames('tls', tls, Object.keys(TLS_RULES));
  const general = resolveFields(RULES, '', others, environment, warn);
  const levelRule = { compressionLevel: compressionLevel(general.compression) };
  const config: Config = {
    ...general,
    ...resolveFields(levelRule, '', others, environment, warn),
    tls: Object.freeze(resolvePair(resolveFields(TLS_RULES, 'tls.', tls, environment, warn), tls, warn)),
  };
  for (const message of contradictions(config)) warn(message);
  return Object.freeze(config);
}

/** `group` is the option that holds the options, or empty. */
function checkNames(group: string, options: object, names: readonly string[]): void {
  const what = group === '' ? 'options' : `option ${group}`;
  if (typeof options !== 'object' || options === null) {
    throw new TypeError(`${what}: got ${show(options)}, allowed: an object`);
  }
  for (const given of Object.keys(options)) {
    if (names.includes(given)) continue;
    const known = group === '' ? 'the options are' : `${group} takes`;
    throw new TypeError(
      `unknown option ${group === '' ? '' : `${group}.`}${printable(given)}; ${known} ${names.join(', ')}`,
    );
  }
}

function resolveFields<T>(
  rules: Rules<T>,
  prefix: string,
  options: { readonly [K in keyof T]?: unknown },
  environment: Environment,
  warn: (message: string) => void,
): T {
  const fields: { [K in keyof T]?: unknown } = {};
  for (const key of Object.keys(rules) as (keyof T & string)[]) {
    const rule: Rule<unknown> = rules[key];
    const option = prefix + key;
    fields[key] =
      fromCode(option, options[key], rule) ?? fromEnvironment(option, rule, environment, warn) ?? rule.fallback;
  }
  return fields as T;
}

function fromCode(option: string, value: unknown, rule: Rule<unknown>): unknown {
  if (value === undefined) return undefined;
  if (!rule.hasType(value)) {
    throw new TypeError(`option ${option}: got ${showFor(rule, value)}, allowed: ${rule.allowed}`);
  }
  const { accepted, reason } = judge(rule, value, option);
  if (accepted !== undefined) return accepted;
  throw new RangeError(`option ${option}: got ${showFor(rule, value)}${reason}, allowed: ${rule.allowed}`);
}

function fromEnvironment(
  option: string,
  rule: Rule<unknown>,
  environment: Environment,
  warn: (message: string) => void,
): unknown {
  if (rule.variable === undefined) return undefined;
  const read = (suffix: string) => readVariable(environment, VARIABLE_PREFIX + suffix);
  const variable = read(rule.variable);
  const file = rule.fileVariable === undefined ? undefined : read(rule.fileVariable);
  if (file !== undefined) {
    if (variable !== undefined) warn(`both ${variable.name} and ${file.name} are set; using the file`);
    return Source.secretFile(file.text, file.name);
  }
  if (variable === undefined) return undefined;
  const { accepted, reason } = judge(rule, rule.parse(variable), variable.name);
  if (accepted === undefined) {
    const used = option === 'endpoint' ? urlsOf(rule.fallback as readonly Endpoint[]) : rule.fallback;
    const using = used === undefined ? 'none' : show(used);
    warn(`${variable.name}: got ${showFor(rule, variable.text)}${reason}, allowed: ${rule.allowed}; using ${using}`);
  }
  return accepted;
}

/** The value to use, or what is known of why there is none. */
function judge(
  rule: Rule<unknown>,
  value: unknown,
  origin: string,
): { readonly accepted: unknown; readonly reason: string } {
  try {
    return { accepted: value === undefined ? undefined : rule.accept(value, origin), reason: '' };
  } catch (error) {
    return { accepted: undefined, reason: ` (${messageOf(error)})` };
  }
}

/** A certificate and its key have no use without each other. */
function resolvePair(config: TlsConfig, { cert, key }: TlsOptions, warn: (message: string) => void): TlsConfig {
  if ((config.cert === undefined) === (config.key === undefined)) return config;
  const [given, missing] = config.cert === undefined ? (['key', 'cert'] as const) : (['cert', 'key'] as const);
  const message = `${config[given]?.origin} is set, and tls.${missing} (${VARIABLE_PREFIX}${TLS_RULES[missing].variable}) is not`;
  if (cert !== undefined || key !== undefined) throw new TypeError(`option tls: ${message}`);
  warn(`${message}; using no client certificate`);
  return { ...config, cert: undefined, key: undefined };
}

function* contradictions(config: Config): Generator<string> {
  if (config.ackTimeoutMillis >= config.timeoutMillis) {
    yield `ackTimeoutMillis (${config.ackTimeoutMillis}) is not below timeoutMillis (${config.timeoutMillis}): an unanswered chunk is never sent to another receiver`;
  }
  if (config.timeoutMillis >= PROCESSOR_TIMEOUT_MILLIS) {
    yield `timeoutMillis (${config.timeoutMillis}) is not below ${PROCESSOR_TIMEOUT_MILLIS}, after which BatchLogRecordProcessor by default gives up on an export that still runs`;
  }
  const { maxBytes = Number.POSITIVE_INFINITY } = codecOf(config.compression) ?? {};
  if (config.maxChunkBytes > maxBytes) {
    yield `maxChunkBytes (${config.maxChunkBytes}) is above ${maxBytes}: larger chunks are sent without ${config.compression}, as receivers would lose them`;
  }
  if (config.sharedKey === undefined && (config.username ?? config.password) !== undefined) {
    yield 'username and password are not used: without sharedKey there is no handshake';
  } else if ((config.username === undefined) !== (config.password === undefined)) {
    yield 'username and password belong together, and one of them is not set';
  }
  const encrypted = config.endpoint.filter(({ protocol }) => protocol === 'tls' || protocol === 'srv+tls');
  if (encrypted.length === 0) {
    const given = Object.entries(TLS_RULES).filter(
      ([key, { fallback }]) => config.tls[key as keyof TlsConfig] !== fallback,
    );
    if (given.length > 0) {
      const names = given.map(([key]) => `tls.${key}`).join(', ');
      yield `${names} set, but ${urlsOf(config.endpoint)} is not encrypted: tls:// and srv+tls:// endpoints are`;
    }
  } else if (config.tls.insecureSkipVerify) {
    yield `tls.insecureSkipVerify is set: ${urlsOf(encrypted)} may be anybody, and whoever can redirect the traffic reads the log records`;
  }
}

function showFor({ isHidden, shown }: Rule<unknown>, value: unknown): string {
  return isHidden ? `a value of type ${typeof value}` : show(value, shown);
}

function show(value: unknown, shown: (text: string) => string = withoutPassword): string {
  return printable(typeof value === 'string' ? JSON.stringify(shown(value)) : nameOf(value));
}

function nameOf(value: unknown): string {
  if (Array.isArray(value)) return 'an array';
  return typeof value === 'object' && value !== null ? 'an object' : String(value);
}
