import type { Address } from '../endpoint/address.ts';
import { serverNameOf, type Target } from '../endpoint/target.ts';
import { type ConnectionErrorCode, messageOf } from '../errors.ts';
import { printable } from '../printable.ts';
import type { Certificates } from './credentials.ts';

/** The stages of a dial, in their order. A dial waits for what its stage names. */
export type Stage = 'lookup' | 'credentials' | 'connect' | 'TLS' | 'HELO' | 'PONG';

/** Why a dial or a connection ended, for {@link FluentForwardConnectionError}. */
export interface Failure {
  readonly code: ConnectionErrorCode;
  readonly reason: string;
  readonly cause?: unknown;
}

/** The owner of a dial or connection has closed it. */
export const CLOSED: Failure = { code: 'FLUENT_FORWARD_CLOSED', reason: 'closed by the exporter' };

/** Why a socket is lost. Without an error the server has sent a FIN. */
type SocketError = (NodeJS.ErrnoException & { reason?: string; cert?: NamedCertificate }) | undefined;

/** The names in a certificate. The common name counts only if there are no others. */
interface NamedCertificate {
  readonly subjectaltname?: string;
  readonly subject?: { readonly CN?: string | readonly string[] };
}

/** The two ends of a connection: where it leads to, and the certificates of this side. */
export interface Ends {
  readonly target: Target;
  readonly certificates: Certificates | undefined;
}

/**
 * The time limit of a dial is over. The reason says what to do about the stage that took too long. `unread`: the options,
 * variables or files that have not been read.
 */
export function tooLate(stage: Stage, millis: number, target: Target | undefined, unread: readonly string[]): Failure {
  const code = 'FLUENT_FORWARD_CONNECT_TIMEOUT';
  const late = `took longer than ${millis} ms`;
  switch (stage) {
    case 'lookup':
      return { code, reason: `the name lookup ${late}` };
    case 'credentials':
      return {
        code,
        reason: `reading the certificates and secrets ${late}; no answer from ${unread.join(' and ')}`,
      };
    case 'connect':
      return { code, reason: `the connect ${late}` };
    case 'TLS':
      return { code, reason: `the TLS handshake ${late}; does the server speak TLS there?` };
    case 'HELO': {
      const isTls = target !== undefined && serverNameOf(target) !== undefined;
      const other = isTls ? '' : '; or does it speak TLS, as tls:// would?';
      return {
        code,
        reason: `no HELO within ${millis} ms: the server wants no shared key; remove sharedKey, or add <security> (Fluentd) or shared_key (Fluent Bit) there${other}`,
      };
    }
    case 'PONG':
      return { code, reason: `no PONG within ${millis} ms: the server does not answer the authentication` };
  }
}

/** The socket is lost during the dial. `isUnverified`: the server may still refuse the client's certificate. */
export function lostAt(stage: Stage, error: SocketError, ends: Ends, isUnverified: boolean): Failure {
  switch (stage) {
    case 'TLS':
      return tlsFailure(error, ends);
    case 'HELO':
      if (isUnverified) return refusedAfterTls(error, ends);
      return { code: 'FLUENT_FORWARD_CONNECT_FAILED', reason: `${loss(error)} before it said HELO`, cause: error };
    case 'PONG':
      return {
        code: 'FLUENT_FORWARD_AUTH_FAILED',
        reason: `${loss(error)} in place of answering PING, as Fluent Bit does when the shared key is wrong; check sharedKey`,
        cause: error,
      };
    default:
      return { code: 'FLUENT_FORWARD_CONNECT_FAILED', reason: connectFailure(error, ends.target), cause: error };
  }
}

/**
 * The socket is lost after a TLS 1.3 handshake, before the server has sent anything. The server has probably refused the
 * client's certificate. Its alert may be missing, because a reset can overtake it.
 */
export function refusedAfterTls(error: SocketError, ends: Ends): Failure {
  if (isAlert(error)) return tlsFailure(error, ends);
  const certificate = ends.certificates?.certOrigin;
  const reason =
    certificate === undefined
      ? 'it probably wants a client certificate (tls.cert and tls.key)'
      : `it probably refuses this client's certificate, ${certificate}`;
  return {
    code: 'FLUENT_FORWARD_TLS_FAILED',
    reason: `${loss(error)} right after the TLS handshake; ${reason}`,
    cause: error,
  };
}

/** The socket of an open connection is lost; `isSilent`: before the server has sent anything. */
export function lost(error: SocketError, { target }: Ends, isSilent: boolean): Failure {
  // A Fluentd that expects TLS resets connections that do not begin with it.
  const isPlain = !('path' in target) && serverNameOf(target) === undefined;
  const hint = isSilent && isPlain ? ' before it said anything; is it overloaded, or does it want TLS (tls://)?' : '';
  return { code: 'FLUENT_FORWARD_CONNECTION_LOST', reason: loss(error) + hint, cause: error };
}

function loss(error: SocketError): string {
  if (error === undefined) return 'the server closed the connection';
  return error.code === 'ECONNRESET' ? 'the server reset the connection' : `the connection failed: ${messageOf(error)}`;
}

function connectFailure(error: SocketError, target: Target): string {
  switch (error?.code) {
    case undefined:
      return loss(error);
    case 'ECONNREFUSED':
      return 'path' in target
        ? 'connection refused; is that a socket, and the receiver running?'
        : 'connection refused; is the receiver running, and listening there?';
    case 'ENOTSOCK':
      return 'that is no socket';
    case 'ENOENT':
      return 'there is no such socket; is the receiver running?';
    case 'EACCES':
      return 'no permission to connect to the socket';
    default:
      return `the connect failed: ${messageOf(error)}`;
  }
}

/** Codes for a server's certificate that is signed by an unknown authority. */
const UNKNOWN_AUTHORITY: readonly unknown[] = [
  // An authority of the same name with another key.
  'CERT_SIGNATURE_FAILURE',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
];

/** Codes for an answer that is not TLS. */
const NO_TLS: readonly unknown[] = ['ERR_SSL_WRONG_VERSION_NUMBER', 'ERR_SSL_PACKET_LENGTH_TOO_LONG'];

function tlsFailure(error: SocketError, ends: Ends): Failure {
  // The message of Node.js contains text from the server.
  const cause = error && Object.assign(new Error(printable(error.message)), { code: error.code });
  return { code: 'FLUENT_FORWARD_TLS_FAILED', reason: tlsReason(error, ends), cause };
}

function tlsReason(error: SocketError, { target, certificates }: Ends): string {
  const code = error?.code;
  if (error === undefined || code === 'ECONNRESET') {
    return `${loss(error)} in the TLS handshake; does it speak TLS there, and does it want a client certificate?`;
  }
  if (code === 'CERT_HAS_EXPIRED') return "the server's certificate, or one above it, has expired";
  if (code === 'CERT_NOT_YET_VALID') return "the server's certificate, or one above it, is not valid yet";
  if (UNKNOWN_AUTHORITY.includes(code)) {
    const known = certificates?.caOrigin ?? "Node.js's own list";
    return `the server's certificate is by an authority that is not in ${known}; tls.ca has to hold it`;
  }
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    const names = printable(String(error.cert?.subjectaltname ?? error.cert?.subject?.CN ?? 'nobody'));
    return `the server's certificate is for ${names}, and not for ${serverNameOf(target)}; is tls.serverName right?`;
  }
  if (NO_TLS.includes(code)) return 'the server does not answer in TLS; does it want tcp://?';
  if (isAlert(error)) return alertReason(error, certificates);
  return `the TLS handshake failed: ${printable(error.message)}`;
}

function alertReason(
  { reason = 'no reason given' }: NonNullable<SocketError>,
  certificates: Certificates | undefined,
): string {
  const words = printable(reason.replace(/^.* alert /s, ''));
  if (words === 'protocol version') return 'the server speaks no version of TLS from tls.minVersion on';
  const certificate = certificates?.certOrigin;
  return certificate === undefined
    ? `the server refuses the TLS handshake (${words}); it probably wants a client certificate (tls.cert and tls.key)`
    : `the server refuses the TLS handshake (${words}); look at this client's certificate, ${certificate}`;
}

/** Whether the server has sent a TLS alert. */
function isAlert(error: SocketError): boolean {
  return error?.code !== undefined && /^ERR_SSL_.*_ALERT_/.test(error.code);
}

/** An address and its endpoint, as messages show them. */
export function placeOf({ endpoint: { url }, text }: Address): string {
  return url.endsWith(text) ? url : `${url} (${text})`;
}
