import { X509Certificate } from 'node:crypto';
import { connect, isIP, type Socket } from 'node:net';
import { checkServerIdentity, connect as connectTls, type PeerCertificate, type SecureContext } from 'node:tls';
import { escapeControls } from '../printable.ts';

export { createSecureContext, type SecureContext } from 'node:tls';

/** Where a socket can be opened to; in TLS to a server whose certificate holds `serverName`. */
export type Target =
  | { readonly host: string; readonly port: number; readonly tls?: { readonly serverName: string } }
  | { readonly path: string };

/** What TLS needs on this side. */
export interface TlsSettings {
  readonly context: SecureContext;
  /** Whether the server's certificate has to hold. */
  readonly isVerifying: boolean;
}

const KEEP_ALIVE_DELAY_MILLIS = 30_000;

/** Opens a socket that does not keep the process alive: the export that waits for it does. */
export function openSocket(target: Target, settings: TlsSettings | undefined): Socket {
  const serverName = serverNameOf(target);
  const socket = serverName === undefined ? connect(target) : openTls(target, serverName, settings as TlsSettings);
  return socket.setNoDelay(true).setKeepAlive(true, KEEP_ALIVE_DELAY_MILLIS).unref();
}

/** Without a session to resume: receivers that verify clients break such connections off. */
function openTls(target: Target, serverName: string, { context, isVerifying }: TlsSettings): Socket {
  return connectTls({
    ...target,
    secureContext: context,
    // TLS has no place for an address here.
    servername: isIP(serverName) === 0 ? serverName : '',
    // Explicit, so that NODE_TLS_REJECT_UNAUTHORIZED cannot switch it off for all of a process.
    rejectUnauthorized: isVerifying,
    checkServerIdentity: (_, certificate) =>
      isIP(serverName) === 0 ? checkServerIdentity(serverName, certificate) : checkAddress(serverName, certificate),
  });
}

/** What `checkServerIdentity()` does with an address; that of Node.js 22.23 finds no IPv6 address. */
function checkAddress(address: string, cert: PeerCertificate): Error | undefined {
  if (new X509Certificate(cert.raw).checkIP(address) !== undefined) return undefined;
  const error = new Error(`the certificate does not hold the IP address ${address}`);
  return Object.assign(error, { code: 'ERR_TLS_CERT_ALTNAME_INVALID', cert });
}

/** The name that the server's certificate has to hold; `undefined` without TLS. */
export function serverNameOf(target: Target): string | undefined {
  return 'path' in target ? undefined : target.tls?.serverName;
}

/** `host:port` or the path, as it stands in messages. */
export function targetText(target: Target): string {
  if ('path' in target) return escapeControls(target.path);
  return target.host.includes(':') ? `[${target.host}]:${target.port}` : `${target.host}:${target.port}`;
}
