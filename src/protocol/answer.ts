import { Decoder } from '@msgpack/msgpack';
import { FrameError, FrameReader } from './frame.ts';
import type { Hello, Pong } from './handshake.ts';

/** What a receiver says to its client. */
export type Answer =
  | { readonly kind: 'ack'; readonly chunk: string }
  /** A map without `ack`: how Vector says no. It does not name the chunk. */
  | { readonly kind: 'not accepted' }
  /** The first message of a handshake: the receiver wants a shared key. */
  | { readonly kind: 'hello'; readonly hello: Hello }
  /** The last message of a handshake. */
  | { readonly kind: 'pong'; readonly pong: Pong };

/** An ack takes some 30 bytes; the handshake's messages are below 1 KiB. */
export const MAX_ANSWER_BYTES = 65_536;

/** How TLS begins the message by which it refuses what is not TLS. */
const TLS_ALERT = 0x15;

/** Reads answers from the bytes of a connection, however they are split. */
export class AnswerReader {
  readonly #frames = new FrameReader(MAX_ANSWER_BYTES);
  // Fluent Bit sends strings in its HELO that are not UTF-8, Fluentd sends bin.
  readonly #decoder = new Decoder({ rawStrings: true });

  /** @throws FrameError for what is no answer; the connection is of no use then. */
  *push(data: Buffer): Generator<Answer> {
    for (const frame of this.#frames.push(data)) yield this.#answer(frame);
  }

  /** Whether the beginning of an answer has arrived and its end has not. */
  get isPartial(): boolean {
    return this.#frames.isPartial;
  }

  #answer(frame: Buffer): Answer {
    const message = this.#decode(frame);
    if (Array.isArray(message)) return handshakeMessage(message);
    if (!isMap(message)) {
      throw new FrameError(
        frame[0] === TLS_ALERT
          ? 'what looks like a TLS alert: it wants tls:// in place of tcp://'
          : 'a value that is neither map nor array',
      );
    }
    const chunk = bytesOf(message.ack);
    return chunk === undefined ? { kind: 'not accepted' } : { kind: 'ack', chunk: chunk.toString('latin1') };
  }

  #decode(frame: Buffer): unknown {
    try {
      return this.#decoder.decode(frame);
    } catch (error) {
      throw new FrameError('a message that cannot be decoded', { cause: error });
    }
  }
}

function handshakeMessage(message: readonly unknown[]): Answer {
  switch (bytesOf(message[0])?.toString('latin1')) {
    case 'HELO':
      return { kind: 'hello', hello: helloOf(message[1]) };
    case 'PONG':
      return { kind: 'pong', pong: pongOf(message) };
    default:
      throw new FrameError('an array that is neither HELO nor PONG');
  }
}

function helloOf(options: unknown): Hello {
  const { nonce, auth, keepalive } = isMap(options) ? options : {};
  const bytes = { nonce: bytesOf(nonce), auth: bytesOf(auth) };
  if (bytes.nonce === undefined || bytes.auth === undefined) throw new FrameError('a HELO without nonce and auth');
  return { nonce: bytes.nonce, auth: bytes.auth, keepAlive: keepalive !== false };
}

function pongOf([, isAccepted, reason, hostname, digest]: readonly unknown[]): Pong {
  const bytes = { reason: bytesOf(reason), hostname: bytesOf(hostname), digest: bytesOf(digest) };
  if (
    typeof isAccepted !== 'boolean' ||
    bytes.reason === undefined ||
    bytes.hostname === undefined ||
    bytes.digest === undefined
  ) {
    throw new FrameError('a PONG of another form than [PONG, boolean, reason, hostname, digest]');
  }
  return { isAccepted, reason: bytes.reason.toString(), hostname: bytes.hostname, digest: bytes.digest };
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

/** The bytes of a str or bin. */
function bytesOf(value: unknown): Buffer | undefined {
  return value instanceof Uint8Array ? Buffer.from(value.buffer, value.byteOffset, value.byteLength) : undefined;
}
