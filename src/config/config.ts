import { messageOf } from '../errors.ts';
import { ENDPOINT_RULE, type Endpoint, hasEndpointType, parseEndpoints, urlsOf } from './endpoint.ts';
import { type Environment, readVariable } from './env.ts';
import type { FluentForwardLogExporterOptions, Resolver } from './options.ts';

/** What the options, the environment and the defaults come to. */
export interface Config {
  readonly endpoint: readonly Endpoint[];
  readonly tag: string;
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
  readonly resolver: Resolver | undefined;
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
  readonly fallback: T;
  /** The error class for a value of the right type that is not allowed is `RangeError`. */
  hasType(value: unknown): boolean;
  /** The value to use, or `undefined` when it is not allowed; it may also throw an error that says why. */
  accept(value: unknown): T | undefined;
  /** The value that a variable's text stands for; not allowed ones are refused by `accept`. */
  parse(text: string): unknown;
}

function integer(variable: string, min: number, max: number, fallback: number): Rule<number> {
  return {
    allowed: `an integer from ${min} to ${max}`,
    variable,
    fallback,
    hasType: (value) => typeof value === 'number',
    accept: (value) =>
      Number.isInteger(value) && Number(value) >= min && Number(value) <= max ? Number(value) : undefined,
    parse: (text) => (/^[+-]?\d+$/.test(text) ? Number(text) : undefined),
  };
}

const millis = (variable: string, fallback: number, min = 1): Rule<number> =>
  integer(variable, min, MAX_MILLIS, fallback);

const text = {
  hasType: (value: unknown): boolean => typeof value === 'string',
  parse: (value: string): unknown => value,
};

const RULES: { readonly [K in keyof Config]: Rule<Config[K]> } = {
  endpoint: {
    ...text,
    allowed: ENDPOINT_RULE,
    variable: 'ENDPOINT',
    fallback: parseEndpoints('tcp://localhost'),
    hasType: hasEndpointType,
    accept: parseEndpoints,
  },
  tag: {
    ...text,
    allowed: 'a string of 1 to 1024 bytes',
    variable: 'TAG',
    fallback: 'opentelemetry.logs',
    // Fluent Bit acknowledges and loses what has an empty tag.
    accept: (value) => (value !== '' && Buffer.byteLength(String(value)) <= 1024 ? String(value) : undefined),
  },
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
  resolver: {
    allowed: 'a function (endpoint) => Promise<{ address, port?, priority?, weight? }[]>',
    fallback: undefined,
    hasType: (value) => typeof value === 'function',
    accept: (value) => value as Resolver,
    parse: () => undefined,
  },
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
  if (typeof options !== 'object' || options === null) {
    throw new TypeError(`options: got ${show(options)}, allowed: an object`);
  }
  for (const name of Object.keys(options)) {
    if (!Object.hasOwn(RULES, name)) {
      throw new TypeError(`unknown option ${name}; the options are ${Object.keys(RULES).join(', ')}`);
    }
  }
  const config: Record<string, unknown> = {};
  for (const [name, rule] of Object.entries(RULES) as [keyof Config, Rule<unknown>][]) {
    config[name] =
      fromCode(name, options[name], rule) ?? fromEnvironment(name, rule, environment, warn) ?? rule.fallback;
  }
  const resolved = Object.freeze(config) as unknown as Config;
  for (const message of contradictions(resolved)) warn(message);
  return resolved;
}

function fromCode(name: string, value: unknown, rule: Rule<unknown>): unknown {
  if (value === undefined) return undefined;
  if (!rule.hasType(value)) throw new TypeError(`option ${name}: got ${show(value)}, allowed: ${rule.allowed}`);
  const { accepted, reason } = judge(rule, value);
  if (accepted !== undefined) return accepted;
  throw new RangeError(`option ${name}: got ${show(value)}${reason}, allowed: ${rule.allowed}`);
}

function fromEnvironment(
  name: string,
  rule: Rule<unknown>,
  environment: Environment,
  warn: (message: string) => void,
): unknown {
  if (rule.variable === undefined) return undefined;
  const variable = readVariable(environment, rule.variable);
  if (variable === undefined) return undefined;
  const { accepted, reason } = judge(rule, rule.parse(variable.text));
  if (accepted === undefined) {
    const used = name === 'endpoint' ? urlsOf(rule.fallback as readonly Endpoint[]) : rule.fallback;
    warn(`${variable.name}: got ${show(variable.text)}${reason}, allowed: ${rule.allowed}; using ${show(used)}`);
  }
  return accepted;
}

/** The value to use, or what is known of why there is none. */
function judge(rule: Rule<unknown>, value: unknown): { readonly accepted: unknown; readonly reason: string } {
  try {
    return { accepted: value === undefined ? undefined : rule.accept(value), reason: '' };
  } catch (error) {
    return { accepted: undefined, reason: ` (${messageOf(error)})` };
  }
}

function* contradictions(config: Config): Generator<string> {
  if (config.ackTimeoutMillis >= config.timeoutMillis) {
    yield `ackTimeoutMillis (${config.ackTimeoutMillis}) is not below timeoutMillis (${config.timeoutMillis}): an unanswered chunk is never sent to another receiver`;
  }
  if (config.timeoutMillis >= PROCESSOR_TIMEOUT_MILLIS) {
    yield `timeoutMillis (${config.timeoutMillis}) is not below ${PROCESSOR_TIMEOUT_MILLIS}, after which BatchLogRecordProcessor by default gives up on an export that still runs`;
  }
}

function show(value: unknown): string {
  const shown = typeof value === 'string' ? JSON.stringify(value) : nameOf(value);
  return shown.length > 200 ? `${shown.slice(0, 200)}…` : shown;
}

function nameOf(value: unknown): string {
  if (Array.isArray(value)) return 'an array';
  return typeof value === 'object' && value !== null ? 'an object' : String(value);
}
