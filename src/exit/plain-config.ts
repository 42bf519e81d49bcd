import type { Config, ConnectionConfig } from '../config/config.ts';
import { type PlainSource, Source } from '../config/source.ts';
import type { PlainCredentials } from '../connection/credentials.ts';
import type { Delivery } from '../delivery/create.ts';
import type { FoundAddress } from '../endpoint/lookup.ts';

/** Options that are the same in the other thread. */
type Same = Omit<ConnectionConfig, 'password' | 'resolver' | 'rotationIntervalMillis' | 'sharedKey' | 'tls'>;

/** What another thread needs in order to connect, without functions: these are represented by what they gave last. */
export interface PlainConfig extends Same {
  readonly tls: Pick<Config['tls'], 'insecureSkipVerify' | 'minVersion' | 'serverName'>;
  readonly credentials: PlainCredentials;
  /** The last answers of the lookups, by the URL of the endpoint. */
  readonly answers: ReadonlyMap<string, readonly FoundAddress[]>;
  readonly hasResolver: boolean;
}

/** `budgetMillis`: how long the other thread has. */
export function plainConfig(config: Config, { addresses, credentials }: Delivery, budgetMillis: number): PlainConfig {
  const { connections, endpoint, hostname, maxInFlightChunks, tls, username } = config;
  const { insecureSkipVerify, minVersion, serverName } = tls;
  // If one address hangs, there must be time for another one.
  const dialMillis = addresses.all.length === 1 ? budgetMillis : Math.ceil(budgetMillis / 2);
  return {
    connections,
    endpoint,
    hostname,
    maxInFlightChunks,
    username,
    ackTimeoutMillis: Math.min(config.ackTimeoutMillis, Math.ceil(budgetMillis / 2)),
    connectTimeoutMillis: Math.min(config.connectTimeoutMillis, dialMillis),
    tls: { insecureSkipVerify, minVersion, serverName },
    credentials: credentials.plain,
    answers: addresses.answers,
    hasResolver: config.resolver !== undefined,
  };
}

/** The options of which the other thread makes its connections. */
export function connectionConfig(plain: PlainConfig): ConnectionConfig {
  const { answers, credentials, hasResolver, tls, ...same } = plain;
  return {
    ...same,
    rotationIntervalMillis: 0,
    sharedKey: sourceOf(credentials.sharedKey),
    password: sourceOf(credentials.password),
    tls: {
      ...tls,
      ca: sourceOf(credentials.ca),
      cert: sourceOf(credentials.cert),
      key: sourceOf(credentials.key),
      passphrase: sourceOf(credentials.passphrase),
    },
    // Without an answer, the system can be asked, but a resolver of the application cannot.
    resolver: answers.size > 0 || hasResolver ? async ({ url }) => answers.get(url) ?? [] : undefined,
  };
}

function sourceOf(plain: PlainSource | undefined): Source | undefined {
  return plain && Source.from(plain);
}
