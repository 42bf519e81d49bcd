import { randomBytes } from 'node:crypto';
import { encode } from '@msgpack/msgpack';
import { passwordDigest, sharedKeyDigest } from '../protocol/handshake.ts';
import type { HandshakeFault } from './faults.ts';
import { ValueReader } from './value-reader.ts';

/** How a receiver authenticates its clients, and itself to them. */
export interface ReceiverSecurity {
  /** What clients have to know. */
  sharedKey: string;
  /** The receiver's own name. Default `receiver`. */
  selfHostname?: string;
  /** Passwords by user name; with none, any user name will do. */
  users?: Readonly<Record<string, string>>;
  /** False takes one message a connection, and says so where the style does. Default true. */
  keepalive?: boolean;
  /**
   * Whose habits it has. `fluentd` (the default) sends bin, and refuses with a PONG that says why.
   * `fluent-bit` sends str that is not UTF-8, leaves `keepalive` out, closes without PONG when the
   * shared key is wrong, takes only str in a PING of at most 1,023 bytes, and drops what comes in one
   * read with it.
   */
  style?: 'fluentd' | 'fluent-bit';
}

/** What a receiver makes of a PING. */
export interface Verdict {
  /** Absent when it closes without a word. */
  readonly pong: Uint8Array | undefined;
  /** Why the client is refused. */
  readonly refusal: string | undefined;
}

/** The most bytes of a PING that Fluent Bit reads. */
const MAX_PING_BYTES = 1023;

/** One handshake as a receiver makes it. */
export class ReceiverHandshake {
  readonly #security: ReceiverSecurity;
  readonly #fault: HandshakeFault | undefined;
  readonly #nonce = randomBytes(16);
  readonly #auth = randomBytes(16);

  constructor(security: ReceiverSecurity, fault: HandshakeFault | undefined) {
    this.#security = security;
    this.#fault = fault;
  }

  /** Whether what arrives in one read with the PING is lost. */
  get isDroppingRest(): boolean {
    return this.#isFluentBit;
  }

  get #isFluentBit(): boolean {
    return this.#security.style === 'fluent-bit';
  }

  hello(): Uint8Array {
    const { keepalive = true } = this.#security;
    if (this.#isFluentBit) {
      return Buffer.concat([
        Uint8Array.of(0x92),
        str('HELO'),
        Uint8Array.of(0x82),
        ...[str('nonce'), str(this.#nonce), str('auth'), str(this.#auth)],
      ]);
    }
    return encode(['HELO', { nonce: this.#nonce, auth: this.#auth, keepalive }]);
  }

  check(frame: Buffer): Verdict {
    const ping = new ValueReader(frame, { rawStrings: true }).read();
    if (!isPing(ping) || (this.#isFluentBit && !isFluentBitPing(frame))) {
      return this.#refuse('invalid ping message', this.#isFluentBit);
    }
    const [, hostname, salt, digest, username, password] = ping;
    const { sharedKey, users } = this.#security;
    switch (this.#fault?.kind) {
      case 'impostor':
        return this.#accept(salt, 'a key that it guessed');
      case 'reflect':
        return { pong: encode(['PONG', true, '', String(hostname), String(digest)]), refusal: undefined };
      case 'refuse':
        return this.#refuse(this.#fault.reason, false);
    }
    if (String(digest) !== sharedKeyDigest(salt, hostname, this.#nonce, sharedKey)) {
      return this.#refuse('shared_key mismatch', this.#isFluentBit);
    }
    if (users !== undefined && !this.#isUser(users, username, password)) {
      return this.#refuse('username/password mismatch', false);
    }
    return this.#accept(salt, sharedKey);
  }

  #isUser(users: Readonly<Record<string, string>>, username: Buffer, digest: Buffer): boolean {
    const name = String(username);
    const password = Object.hasOwn(users, name) ? users[name] : undefined;
    return password !== undefined && String(digest) === passwordDigest(this.#auth, username, password);
  }

  #accept(salt: Buffer, key: string): Verdict {
    const { selfHostname = 'receiver' } = this.#security;
    const digest = sharedKeyDigest(salt, selfHostname, this.#nonce, key);
    return { pong: encode(['PONG', true, '', selfHostname, digest]), refusal: undefined };
  }

  #refuse(reason: string, isSilent: boolean): Verdict {
    return { pong: isSilent ? undefined : encode(['PONG', false, reason, '', '']), refusal: reason };
  }
}

/** Its parts are the bytes that the client hashed: the salt of Fluent Bit's client is a str that is not UTF-8. */
type Ping = readonly [
  type: Buffer,
  hostname: Buffer,
  salt: Buffer,
  digest: Buffer,
  username: Buffer,
  passwordDigest: Buffer,
];

function isPing(message: unknown): message is Ping {
  if (!Array.isArray(message) || message.length !== 6) return false;
  return message.every((part) => Buffer.isBuffer(part)) && String(message[0]) === 'PING';
}

/** Fluent Bit reads no bin in a PING. */
function isFluentBitPing(frame: Buffer): boolean {
  const parts = new ValueReader(frame).read() as unknown[];
  return parts.every((part) => typeof part === 'string') && frame.length <= MAX_PING_BYTES;
}

/** A short str, of text or of any bytes. */
function str(content: string | Buffer): Buffer {
  const bytes = Buffer.from(content as string);
  return Buffer.concat([Uint8Array.of(0xa0 + bytes.length), bytes]);
}
