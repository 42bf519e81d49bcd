import { Decoder } from '@msgpack/msgpack';
import { FrameError, FrameReader } from './frame.ts';

/** What a receiver says to a client that has sent it chunks. */
export type Answer =
  | { readonly kind: 'ack'; readonly chunk: string }
  /** A map without `ack`: how Vector says no. It does not name the chunk. */
  | { readonly kind: 'not accepted' }
  /** The first message of a handshake: the receiver wants a shared key. */
  | { readonly kind: 'hello' };

/** An ack takes some 30 bytes; the handshake's messages are below 1 KiB. */
const MAX_ANSWER_BYTES = 65_536;

/** Reads answers from the bytes of a connection, however they are split. */
export class AnswerReader {
  readonly #frames = new FrameReader(MAX_ANSWER_BYTES);
  // Fluent Bit sends strings in its HELO that are not UTF-8.
  readonly #decoder = new Decoder({ rawStrings: true });

  /** @throws FrameError for what is no answer; the connection is of no use then. */
  *push(data: Buffer): Generator<Answer> {
    for (const frame of this.#frames.push(data)) yield this.#answer(frame);
  }

  #answer(frame: Buffer): Answer {
    let message: unknown;
    try {
      message = this.#decoder.decode(frame);
    } catch (error) {
      throw new FrameError('a message that cannot be decoded', { cause: error });
    }
    if (Array.isArray(message)) {
      if (text(message[0]) === 'HELO') return { kind: 'hello' };
      throw new FrameError('an array that is no HELO');
    }
    if (!isMap(message)) throw new FrameError('a value that is neither map nor array');
    const chunk = text(message.ack);
    return chunk === undefined ? { kind: 'not accepted' } : { kind: 'ack', chunk };
  }
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

function text(value: unknown): string | undefined {
  return value instanceof Uint8Array
    ? Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('latin1')
    : undefined;
}
