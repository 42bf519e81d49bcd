import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { encode } from '@msgpack/msgpack';
import type { ConnectionErrorCode } from '../errors.ts';
import { printable } from '../printable.ts';

/** What a server with a shared key says first. */
export interface Hello {
  /** Part of what both sides prove the shared key over. */
  readonly nonce: Buffer;
  /** What a password's digest is salted with. */
  readonly auth: Buffer;
  /** False when the server takes one message a connection. Fluent Bit leaves it out, which means true. */
  readonly keepAlive: boolean;
}

/** What a server answers to PING. */
export interface Pong {
  readonly isAccepted: boolean;
  /** Why it refuses, in its own words. */
  readonly reason: string;
  readonly hostname: Buffer;
  /** In hexadecimal digits; empty where it refuses. */
  readonly digest: Buffer;
}

/** What this client proves to a server, and asks proof of. */
export interface Login {
  readonly hostname: string;
  readonly sharedKey: string;
  readonly username: string;
  readonly password: string;
}

export interface HandshakeFailure {
  readonly code: Extract<ConnectionErrorCode, 'FLUENT_FORWARD_AUTH_FAILED' | 'FLUENT_FORWARD_SERVER_UNTRUSTED'>;
  readonly reason: string;
}

/**
 * The most bytes of UTF-8 in a hostname or a username. Fluent Bit reads 1,023 bytes for the whole
 * PING, of which 300 are taken by the rest.
 */
export const MAX_NAME_BYTES = 255;

/** What one side proves by: that it knows the shared key, under its own name. */
export function sharedKeyDigest(salt: Bytes, hostname: Bytes, nonce: Bytes, sharedKey: string): string {
  return sha512(salt, hostname, nonce, sharedKey);
}

/** What a client proves by that it knows the password. */
export function passwordDigest(auth: Bytes, username: Bytes, password: string): string {
  return sha512(auth, username, password);
}

/** One handshake of the Forward protocol, as the client makes it: HELO comes, PING goes, PONG comes. */
export class Handshake {
  readonly #login: Login;
  readonly #salt: string;
  #nonce: Buffer | undefined;

  /** The salt is in hexadecimal digits because Fluent Bit refuses one that is bin. */
  constructor(login: Login, salt: string = randomBytes(16).toString('hex')) {
    this.#login = login;
    this.#salt = salt;
  }

  /** The answer to HELO. It has to leave in one write: Fluent Bit may read no more than once. */
  ping({ nonce, auth }: Hello): Uint8Array {
    const { hostname, sharedKey, username, password } = this.#login;
    this.#nonce = nonce;
    return encode([
      'PING',
      hostname,
      this.#salt,
      sharedKeyDigest(this.#salt, hostname, nonce, sharedKey),
      username,
      passwordDigest(auth, username, password),
    ]);
  }

  /** Whether the server takes this client and is what it claims to be; `undefined` when both hold. */
  check({ isAccepted, reason, hostname, digest }: Pong): HandshakeFailure | undefined {
    if (!isAccepted) return { code: 'FLUENT_FORWARD_AUTH_FAILED', reason: refusal(reason) };
    // It could have sent the client's own digest back.
    if (hostname.equals(Buffer.from(this.#login.hostname))) {
      return {
        code: 'FLUENT_FORWARD_SERVER_UNTRUSTED',
        reason: `the server calls itself ${printable(hostname.toString())}, as this client does, and so proves nothing; give the client another name (hostname)`,
      };
    }
    const expected = sharedKeyDigest(this.#salt, hostname, this.#nonce as Buffer, this.#login.sharedKey);
    if (isSame(digest, expected)) return undefined;
    return {
      code: 'FLUENT_FORWARD_SERVER_UNTRUSTED',
      reason: 'the server does not prove that it knows the shared key; it may be an impostor, and is sent nothing',
    };
  }
}

function refusal(reason: string): string {
  const advice = /user|password/i.test(reason)
    ? 'check username and password'
    : /shared.?key/i.test(reason)
      ? 'check sharedKey'
      : 'look at the <security> section of the server';
  return `the server refuses this client: "${printable(reason)}"; ${advice}`;
}

type Bytes = string | Uint8Array;

function sha512(...parts: readonly Bytes[]): string {
  const hash = createHash('sha512');
  for (const part of parts) hash.update(part);
  return hash.digest('hex');
}

function isSame(digest: Buffer, expected: string): boolean {
  const bytes = Buffer.from(expected);
  return digest.length === bytes.length && timingSafeEqual(digest, bytes);
}
