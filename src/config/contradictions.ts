import { codecOf } from '../compress/codecs.ts';
import { isEncrypted, urlsOf } from './endpoint.ts';
import { VARIABLE_PREFIX } from './env.ts';
import type { TlsOptions } from './options.ts';
import { type ExporterOnlyConfig, type GeneralConfig, TLS_RULES, type TlsConfig } from './rules.ts';

/** By default BatchLogRecordProcessor gives up on an export after this time. */
const PROCESSOR_TIMEOUT_MILLIS = 30_000;

export type Checked = GeneralConfig & { readonly tls: TlsConfig };

/** Returns a warning for each combination of options that cannot be meant. */
export function contradictions(config: Checked): readonly string[] {
  return [...compressionContradictions(config), ...credentialContradictions(config), ...tlsContradictions(config)];
}

/** Returns the warnings about the deadline of an export. */
export function* exporterContradictions({
  ackTimeoutMillis,
  timeoutMillis,
}: Checked & ExporterOnlyConfig): Generator<string> {
  if (ackTimeoutMillis >= timeoutMillis) {
    yield `ackTimeoutMillis (${ackTimeoutMillis}) must be less than timeoutMillis (${timeoutMillis}); otherwise an unanswered chunk is never sent to another receiver`;
  }
  if (timeoutMillis >= PROCESSOR_TIMEOUT_MILLIS) {
    yield `timeoutMillis (${timeoutMillis}) must be less than ${PROCESSOR_TIMEOUT_MILLIS}, after which BatchLogRecordProcessor by default gives up on an export that still runs`;
  }
}

function* compressionContradictions({ compression, maxChunkBytes }: Checked): Generator<string> {
  const maxBytes = codecOf(compression)?.maxBytes ?? Number.POSITIVE_INFINITY;
  if (maxChunkBytes > maxBytes) {
    yield `maxChunkBytes (${maxChunkBytes}) is above ${maxBytes}: larger chunks are sent without ${compression}, as receivers would lose them`;
  }
}

function* credentialContradictions({ sharedKey, username, password }: Checked): Generator<string> {
  if (sharedKey === undefined && (username ?? password) !== undefined) {
    yield 'username and password are not used: without sharedKey there is no handshake';
  } else if ((username === undefined) !== (password === undefined)) {
    yield 'username and password: set both or neither';
  }
}

function* tlsContradictions({ endpoint, tls }: Checked): Generator<string> {
  const encrypted = endpoint.filter(isEncrypted);
  if (encrypted.length > 0) {
    if (!tls.insecureSkipVerify) return;
    yield `tls.insecureSkipVerify is set: ${urlsOf(encrypted)} may be anybody, and whoever can redirect the traffic reads the log records`;
    return;
  }
  const given = Object.entries(TLS_RULES).filter(([key, { fallback }]) => tls[key as keyof TlsConfig] !== fallback);
  if (given.length === 0) return;
  const names = given.map(([key]) => `tls.${key}`).join(', ');
  yield `${names} set, but ${urlsOf(endpoint)} is not encrypted: tls:// and srv+tls:// endpoints are`;
}

/**
 * Uses neither the certificate nor its key if one of them is missing.
 * @throws TypeError if the other one was set in code.
 */
export function resolvePair(config: TlsConfig, { cert, key }: TlsOptions, warn: (message: string) => void): TlsConfig {
  if ((config.cert === undefined) === (config.key === undefined)) return config;
  const [given, missing] = config.cert === undefined ? (['key', 'cert'] as const) : (['cert', 'key'] as const);
  const message = `${config[given]?.origin} is set, and tls.${missing} (${VARIABLE_PREFIX}${TLS_RULES[missing].variable}) is not`;
  if (cert !== undefined || key !== undefined) throw new TypeError(`option tls: ${message}`);
  warn(`${message}; using no client certificate`);
  return { ...config, cert: undefined, key: undefined };
}
