import type { ConnectionErrorCode } from '../errors.ts';

/** What follows from a fault of a connection. */
export interface FaultTraits {
  /** Whether it is a fault at all. A connection that nobody uses may be lost. */
  readonly isFault: 'always' | 'if chunks are unacknowledged' | 'never';
  /** Whether it ends a dial. */
  readonly isDialFailure: boolean;
  /** Whether it probably lasts until somebody corrects certificates, keys or the server. */
  readonly needsOperator: boolean;
  /** Whether the chunk that the receiver had to acknowledge next may be the reason. */
  readonly suspectsChunk: boolean;
  /** Whether chunks are resent at once. Without an ack in time they have waited long enough. */
  readonly resendsAtOnce: boolean;
  /** The step of a dial that is wrong, if it is not the step at which the fault occurs. */
  readonly step?: 'TLS' | 'handshake';
  /** What an operator can do. */
  readonly remedy: string;
}

/** What to do if nothing is known but the receiver's side of the fault. */
export const READ_RECEIVER_LOG = "look into the receiver's log";

const CHECK_PROTOCOL = 'make sure that a Forward input listens there, and no other protocol';

const DIAL_FAILURE = {
  isFault: 'always',
  isDialFailure: true,
  needsOperator: false,
  suspectsChunk: false,
  resendsAtOnce: false,
} as const;

const OPERATOR_FAILURE = { ...DIAL_FAILURE, needsOperator: true } as const;

/** A fault of an open connection. */
const OPEN_FAULT = { ...DIAL_FAILURE, isDialFailure: false, suspectsChunk: true } as const;

/** Every code of a connection error, and what follows from it. */
export const FAULTS: Readonly<Record<ConnectionErrorCode, FaultTraits>> = {
  FLUENT_FORWARD_LOOKUP_FAILED: {
    ...DIAL_FAILURE,
    remedy:
      "correct the name in endpoint, or this machine's DNS; in Kubernetes, another namespace's Service is <service>.<namespace>",
  },
  FLUENT_FORWARD_CREDENTIALS_UNREADABLE: {
    ...OPERATOR_FAILURE,
    remedy: 'correct the option or the file that is named',
  },
  FLUENT_FORWARD_CONNECT_FAILED: {
    ...DIAL_FAILURE,
    remedy: 'start the receiver, let it listen on this address (bind, listen), or correct host and port in endpoint',
  },
  FLUENT_FORWARD_CONNECT_TIMEOUT: {
    ...DIAL_FAILURE,
    remedy: 'let firewalls, security groups and NetworkPolicies pass TCP to this port, or correct endpoint',
  },
  FLUENT_FORWARD_TLS_FAILED: {
    ...OPERATOR_FAILURE,
    step: 'TLS',
    remedy:
      'let tls:// or tcp:// and the certificates of both sides fit: tls.ca, tls.serverName, tls.cert and tls.key here',
  },
  FLUENT_FORWARD_AUTH_FAILED: {
    ...OPERATOR_FAILURE,
    step: 'handshake',
    remedy:
      "set sharedKey, username and password to the receiver's: <security> (Fluentd), shared_key and security.users (Fluent Bit)",
  },
  FLUENT_FORWARD_SERVER_UNTRUSTED: {
    ...OPERATOR_FAILURE,
    step: 'handshake',
    remedy: 'make sure that this is the receiver, with the same shared key and another name than hostname',
  },
  FLUENT_FORWARD_CONNECTION_LOST: {
    ...OPEN_FAULT,
    isFault: 'if chunks are unacknowledged',
    remedy: READ_RECEIVER_LOG,
  },
  FLUENT_FORWARD_ACK_TIMEOUT: {
    ...OPEN_FAULT,
    resendsAtOnce: true,
    remedy:
      "look whether the receiver is paused or its buffer full, and whether it is a Forward input (Fluentd's in_unix never acknowledges)",
  },
  FLUENT_FORWARD_ACK_SKIPPED: { ...OPEN_FAULT, resendsAtOnce: true, remedy: READ_RECEIVER_LOG },
  FLUENT_FORWARD_NOT_ACCEPTED: {
    ...OPEN_FAULT,
    remedy: CHECK_PROTOCOL,
  },
  FLUENT_FORWARD_BAD_ANSWER: {
    ...OPEN_FAULT,
    suspectsChunk: false,
    remedy: CHECK_PROTOCOL,
  },
  FLUENT_FORWARD_CLOSED: { ...OPEN_FAULT, isFault: 'never', suspectsChunk: false, remedy: READ_RECEIVER_LOG },
};
