import type { ConnectionErrorCode, ExportErrorCode } from '../../errors.ts';
import type { Check } from './finding.ts';

/** What to do about a check that failed with this code; the reason itself is told beside it. */
export function remedyFor(check: Check, code: ConnectionErrorCode | ExportErrorCode): string {
  if (check === 'large chunk') {
    return 'lower maxChunkBytes, or raise chunk_size_limit (Fluentd) or buffer_max_size (Fluent Bit)';
  }
  if (check === 'compression') {
    return 'set compression to one that the receiver knows (zstd: Fluentd from 1.19, Fluent Bit from 4.1), or to none';
  }
  switch (code) {
    case 'FLUENT_FORWARD_LOOKUP_FAILED':
      return "correct the name in endpoint, or this machine's DNS; in Kubernetes, another namespace's Service is <service>.<namespace>";
    case 'FLUENT_FORWARD_CREDENTIALS_UNREADABLE':
      return 'correct the option or the file that is named';
    case 'FLUENT_FORWARD_CONNECT_FAILED':
      return 'start the receiver, let it listen on this address (bind, listen), or correct host and port in endpoint';
    case 'FLUENT_FORWARD_CONNECT_TIMEOUT':
      return timeoutRemedy(check);
    case 'FLUENT_FORWARD_TLS_FAILED':
      return 'let tls:// or tcp:// and the certificates of both sides fit: tls.ca, tls.serverName, tls.cert and tls.key here';
    case 'FLUENT_FORWARD_AUTH_FAILED':
      return "set sharedKey, username and password to the receiver's: <security> (Fluentd), shared_key and security.users (Fluent Bit)";
    case 'FLUENT_FORWARD_SERVER_UNTRUSTED':
      return 'make sure that this is the receiver, with the same shared key and another name than hostname';
    case 'FLUENT_FORWARD_BAD_ANSWER':
    case 'FLUENT_FORWARD_NOT_ACCEPTED':
      return 'make sure that a Forward input listens there, and no other protocol';
    case 'FLUENT_FORWARD_ACK_TIMEOUT':
      return "look whether the receiver is paused or its buffer full, and whether it is a Forward input (Fluentd's in_unix never acknowledges)";
    default:
      return "look into the receiver's log";
  }
}

function timeoutRemedy(check: Check): string {
  switch (check) {
    case 'TLS':
      return 'let the receiver speak TLS there, or use tcp://';
    case 'handshake':
      return 'unset sharedKey, or give the receiver the same one';
    default:
      return 'let firewalls, security groups and NetworkPolicies pass TCP to this port, or correct endpoint';
  }
}
