import { X509Certificate } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { BoundedWaits } from '../bounded-waits.ts';
import type { Clock } from '../clock.ts';
import type { Config, TlsConfig } from '../config/config.ts';
import { urlsOf } from '../config/endpoint.ts';
import type { Diagnostics } from '../diagnostics.ts';
import { messageOf } from '../errors.ts';
import type { Login } from '../protocol/handshake.ts';
import { createSecureContext, type SecureContext, type TlsSettings } from './socket.ts';

/** What TLS needs on this side, and where it comes from, for messages. */
export interface Certificates extends TlsSettings {
  readonly caOrigin: string | undefined;
  readonly certOrigin: string | undefined;
}

export interface CredentialsOptions {
  readonly config: Config;
  readonly clock: Clock;
  readonly diagnostics: Diagnostics;
}

/** Certificates and secrets, read anew at each dial, so that they can be replaced while the process runs. */
export class Credentials {
  readonly #certificates: Renewed<Certificates>;
  readonly #login: Renewed<Login | undefined>;

  constructor({ config, clock, diagnostics }: CredentialsOptions) {
    // Where there is an older value, half of the time is for the connect.
    const limitMillis = Math.ceil(config.connectTimeoutMillis / 2);
    const keep = (what: string) => (error: unknown) => {
      const message = `${urlsOf(config.endpoint)}: the ${what} cannot be read anew (${messageOf(error)}); going on with the last good ones`;
      diagnostics.warn(`renewal of ${what}`, message);
    };
    this.#certificates = new Renewed(certificatesOf(config.tls), clock, limitMillis, keep('certificates'));
    this.#login = new Renewed(() => loginOf(config), clock, limitMillis, keep('secrets'));
  }

  /** Rejects when they cannot be read or used, and never could. */
  certificates(): Promise<Certificates> {
    return this.#certificates.get();
  }

  /** `undefined` when no handshake is configured. Rejects when the secrets cannot be read, and never could. */
  login(): Promise<Login | undefined> {
    return this.#login.get();
  }

  /** Waits no longer for what is being read. */
  close(): void {
    this.#certificates.close();
    this.#login.close();
  }
}

/** A value that is loaded each time it is asked for; when that fails or takes too long, the last good one stays. */
class Renewed<T> {
  readonly #load: () => Promise<T>;
  readonly #waits: BoundedWaits;
  readonly #limitMillis: number;
  readonly #kept: (error: unknown) => void;
  #last: { readonly value: T } | undefined;
  /** One at a time: reads that hang would fill the process's thread pool. */
  #loading: Promise<T> | undefined;

  constructor(load: () => Promise<T>, clock: Clock, limitMillis: number, kept: (error: unknown) => void) {
    this.#load = load;
    this.#waits = new BoundedWaits(clock);
    this.#limitMillis = limitMillis;
    this.#kept = kept;
  }

  async get(): Promise<T> {
    this.#loading ??= this.#load().finally(() => {
      this.#loading = undefined;
    });
    if (this.#last === undefined) {
      const value = await this.#loading;
      this.#last = { value };
      return value;
    }
    try {
      this.#last = { value: await this.#waits.within(this.#limitMillis, this.#loading) };
    } catch (error) {
      this.#kept(error);
    }
    return this.#last.value;
  }

  close(): void {
    this.#waits.close();
  }
}

async function loginOf({ sharedKey, hostname, username = '', password }: Config): Promise<Login | undefined> {
  if (sharedKey === undefined) return undefined;
  return { hostname, username, sharedKey: await sharedKey.read(), password: (await password?.read()) ?? '' };
}

/** What the sources of a {@link TlsConfig} hold. */
interface Texts {
  readonly ca: string | undefined;
  readonly cert: string | undefined;
  readonly key: string | undefined;
  readonly passphrase: string | undefined;
}

/** Makes a context only of what has changed: the main thread parses all authorities for it. */
function certificatesOf(config: TlsConfig): () => Promise<Certificates> {
  let last: { readonly texts: Texts; readonly certificates: Certificates } | undefined;
  return async () => {
    const texts = await textsOf(config);
    if (!isDeepStrictEqual(texts, last?.texts)) {
      const certificates = {
        context: contextOf(texts, config),
        isVerifying: !config.insecureSkipVerify,
        caOrigin: config.ca?.origin,
        certOrigin: config.cert?.origin,
      };
      last = { texts, certificates };
    }
    return (last as { readonly certificates: Certificates }).certificates;
  };
}

async function textsOf(config: TlsConfig): Promise<Texts> {
  const sources = [config.ca, config.cert, config.key, config.passphrase];
  const [ca, cert, key, passphrase] = await Promise.all(sources.map((source) => source?.read()));
  return { ca, cert, key, passphrase };
}

function contextOf({ ca, cert, key, passphrase }: Texts, config: TlsConfig): SecureContext {
  if (ca !== undefined) checkAuthorities(ca, config.ca?.origin);
  try {
    return createSecureContext({ ca, cert, key, passphrase, minVersion: config.minVersion });
  } catch (error) {
    const origins = [config.cert ?? config.ca, config.key].flatMap((source) => source?.origin ?? []);
    throw new Error(
      `${origins.join(' and ')} cannot be used (does the key belong to the certificate, and is tls.passphrase that of the key?): ${messageOf(error)}`,
      { cause: error },
    );
  }
}

/** Node.js takes what is no certificate without a word, and then trusts nobody. */
function checkAuthorities(ca: string, origin: string | undefined): void {
  const certificates = ca.match(/-----BEGIN [^-]*CERTIFICATE-----.+?-----END [^-]*CERTIFICATE-----/gs) ?? [];
  const isCutOff = ca.split('-----BEGIN ').length !== ca.split('-----END ').length;
  if (certificates.length === 0 || isCutOff) throw new Error(`${origin} does not hold whole certificates`);
  try {
    for (const certificate of certificates) new X509Certificate(certificate);
  } catch (error) {
    throw new Error(`${origin} holds what is no certificate: ${messageOf(error)}`, { cause: error });
  }
}
