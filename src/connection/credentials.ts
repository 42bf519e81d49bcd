import { X509Certificate } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '../clock.ts';
import type { ConnectionConfig } from '../config/config.ts';
import { isEncrypted, urlsOf } from '../config/endpoint.ts';
import { certificatesOf, isCutOff, problemOfPem } from '../config/pem.ts';
import type { TlsConfig } from '../config/rules.ts';
import type { PlainSource } from '../config/source.ts';
import type { Diagnostics } from '../diagnostics.ts';
import { messageOf } from '../errors.ts';
import type { Login } from '../protocol/handshake.ts';
import { type Read, Reloadable } from './reloadable.ts';
import { createSecureContext, type SecureContext, type TlsSettings } from './socket.ts';

/** What TLS needs on this side, and where it comes from, for messages. */
export interface Certificates extends TlsSettings {
  readonly caOrigin: string | undefined;
  readonly certOrigin: string | undefined;
}

export interface CredentialsOptions {
  readonly config: ConnectionConfig;
  readonly clock: Clock;
  readonly diagnostics: Diagnostics;
}

/** The sources of the certificates and secrets. Those that were read with success are the texts that they gave. */
export type PlainCredentials = { readonly [Name in 'sharedKey' | 'password' | keyof Texts]: PlainSource | undefined };

/** Certificates and secrets, read anew at each dial, so that they can be replaced while the process runs. */
export class Credentials {
  readonly #config: ConnectionConfig;
  readonly #certificates: Reloadable<LoadedCertificates>;
  readonly #login: Reloadable<Login | undefined>;

  constructor({ config, clock, diagnostics }: CredentialsOptions) {
    const { connectTimeoutMillis } = config;
    this.#config = config;
    const limits = {
      clock,
      // The dial has a shorter limit of its own, whose message names what is unread. This one only frees the dial.
      firstLimitMillis: 2 * connectTimeoutMillis,
      // The rest is for the connect.
      limitMillis: Math.ceil(connectTimeoutMillis / 2),
    };
    const keep = (what: string) => (error: unknown) => {
      const message = `${urlsOf(config.endpoint)}: the ${what} cannot be read anew (${messageOf(error)}); going on with the last good ones`;
      diagnostics.warn(`renewal of ${what}`, message);
    };
    this.#certificates = new Reloadable({ ...limits, load: certificateLoader(config.tls), kept: keep('certificates') });
    this.#login = new Reloadable({ ...limits, load: (read) => loginOf(config, read), kept: keep('secrets') });
  }

  /** The options, variables or files that a dial waits for. */
  get unread(): readonly string[] {
    return [...this.#login.unread, ...this.#certificates.unread];
  }

  /** Rejects when they cannot be read or used, and never could. */
  async certificates(): Promise<Certificates> {
    return (await this.#certificates.get()).certificates;
  }

  /** `undefined` when no handshake is configured. Rejects when the secrets cannot be read, and never could. */
  login(): Promise<Login | undefined> {
    return this.#login.get();
  }

  /** What another thread needs in order to use the same certificates and secrets. */
  get plain(): PlainCredentials {
    const { password, sharedKey, tls } = this.#config;
    const login = this.#login.last;
    const texts = this.#certificates.last?.texts;
    return {
      sharedKey: sharedKey?.plain(login?.sharedKey),
      password: password?.plain(login?.password),
      ca: tls.ca?.plain(texts?.ca),
      cert: tls.cert?.plain(texts?.cert),
      key: tls.key?.plain(texts?.key),
      passphrase: tls.passphrase?.plain(texts?.passphrase),
    };
  }

  /** The origins of functions that have given no good value yet, and without which no endpoint can be dialled. */
  get neededFunctions(): readonly string[] {
    const { endpoint, sharedKey } = this.#config;
    const { password, sharedKey: key, ...certificates } = this.plain;
    const needed = [
      ...(sharedKey === undefined ? [] : [key, password]),
      ...(endpoint.every(isEncrypted) ? Object.values(certificates) : []),
    ];
    return needed.flatMap((source) => (source?.kind === 'function' ? source.origin : []));
  }

  /** Waits no longer for what is being read. */
  close(): void {
    this.#certificates.close();
    this.#login.close();
  }
}

async function loginOf(config: ConnectionConfig, read: Read): Promise<Login | undefined> {
  const { hostname, username = '' } = config;
  if (config.sharedKey === undefined) return undefined;
  const [sharedKey, password] = await Promise.all([
    read(config.sharedKey),
    config.password === undefined ? '' : read(config.password),
  ]);
  return { hostname, username, sharedKey, password };
}

/** What the sources of a {@link TlsConfig} hold. */
interface Texts {
  readonly ca: string | undefined;
  readonly cert: string | undefined;
  readonly key: string | undefined;
  readonly passphrase: string | undefined;
}

interface LoadedCertificates {
  readonly texts: Texts;
  readonly certificates: Certificates;
}

/** Makes a context only of what has changed: the main thread parses all authorities for it. */
function certificateLoader(config: TlsConfig): (read: Read) => Promise<LoadedCertificates> {
  let last: LoadedCertificates | undefined;
  return async (read) => {
    const texts = await textsOf(config, read);
    if (!isDeepStrictEqual(texts, last?.texts)) {
      const certificates = {
        context: contextOf(texts, config),
        isVerifying: !config.insecureSkipVerify,
        caOrigin: config.ca?.origin,
        certOrigin: config.cert?.origin,
      };
      last = { texts, certificates };
    }
    return last as LoadedCertificates;
  };
}

async function textsOf(config: TlsConfig, read: Read): Promise<Texts> {
  const sources = [config.ca, config.cert, config.key, config.passphrase];
  const [ca, cert, key, passphrase] = await Promise.all(sources.map((source) => source && read(source)));
  return { ca, cert, key, passphrase };
}

function contextOf({ ca, cert, key, passphrase }: Texts, config: TlsConfig): SecureContext {
  if (ca !== undefined) checkAuthorities(ca, config.ca?.origin);
  if (cert !== undefined) checkLines(cert, config.cert?.origin);
  if (key !== undefined) checkLines(key, config.key?.origin);
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

/** Node.js ignores what is not a certificate, and everything after it, without an error. */
function checkAuthorities(ca: string, origin: string | undefined): void {
  const certificates = isCutOff(ca) ? [] : certificatesOf(ca);
  // If there is another problem with a text that is whole, that is the better reason.
  if (!isCutOff(ca)) checkLines(ca, origin);
  if (certificates.length === 0) throw new Error(`${origin} does not hold whole certificates`);
  try {
    for (const certificate of certificates) new X509Certificate(certificate);
  } catch (error) {
    throw new Error(`${origin} holds what is no certificate: ${messageOf(error)}`, { cause: error });
  }
}

function checkLines(pem: string, origin: string | undefined): void {
  const problem = problemOfPem(pem);
  if (problem !== undefined) throw new Error(`${origin}: ${problem}`);
}
