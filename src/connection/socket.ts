import { X509Certificate } from 'node:crypto';
import { connect, isIP, type Socket } from 'node:net';
import { checkServerIdentity, connect as connectTls, type PeerCertificate, type SecureContext } from 'node:tls';
import type { Clock } from '../clock.ts';
import { serverNameOf, type Target } from '../endpoint/target.ts';

export { createSecureContext, type SecureContext } from 'node:tls';

/** What this side needs for TLS. */
export interface TlsSettings {
  readonly context: SecureContext;
  /** Whether the server's certificate is verified. */
  readonly isVerifying: boolean;
}

const KEEP_ALIVE_DELAY_MILLIS = 30_000;

/** Opens a socket. It does not keep the process alive; exports in flight do. */
export function openSocket(target: Target, settings: TlsSettings | undefined): Socket {
  const serverName = serverNameOf(target);
  const socket = serverName === undefined ? connect(target) : openTls(target, serverName, settings as TlsSettings);
  return socket.setNoDelay(true).setKeepAlive(true, KEEP_ALIVE_DELAY_MILLIS).unref();
}

/** Never resumes a session: receivers that verify client certificates close such connections. */
function openTls(target: Target, serverName: string, { context, isVerifying }: TlsSettings): Socket {
  return connectTls({
    ...target,
    secureContext: context,
    // TLS allows no IP address here.
    servername: isIP(serverName) === 0 ? serverName : '',
    // Set, so that NODE_TLS_REJECT_UNAUTHORIZED cannot disable it for the whole process.
    rejectUnauthorized: isVerifying,
    checkServerIdentity: (_, certificate) =>
      isIP(serverName) === 0 ? checkServerIdentity(serverName, certificate) : checkAddress(serverName, certificate),
  });
}

/** Does for an IP address what `checkServerIdentity()` does for a name. That of Node.js 22.23 finds no IPv6 address. */
function checkAddress(address: string, cert: PeerCertificate): Error | undefined {
  if (new X509Certificate(cert.raw).checkIP(address) !== undefined) return undefined;
  const error = new Error(`the certificate does not hold the IP address ${address}`);
  return Object.assign(error, { code: 'ERR_TLS_CERT_ALTNAME_INVALID', cert });
}

/**
 * Closes a socket. If it is clean and holds no bytes, sends a FIN, in TLS after a close_notify: receivers log an error for
 * a FIN without one. A receiver that does not read holds the close_notify back, so the socket is destroyed after
 * `limitMillis`. `isClean`: no handshake and no message is cut off.
 */
export function closeSocket(socket: Socket, isClean: boolean, clock: Clock, limitMillis: number): void {
  if (!isClean || socket.writableLength > 0) {
    socket.destroy();
    return;
  }
  const limit = clock.after(limitMillis, () => socket.destroy());
  socket.once('close', () => limit.cancel());
  socket.destroySoon();
}
