import { messageOf } from '../errors.ts';
import { type Answer, AnswerReader, MAX_ANSWER_BYTES } from '../protocol/answer.ts';

/** Bytes that are not an answer, or more bytes than a server has reason to send. Nothing follows it. */
export interface InvalidAnswer {
  readonly kind: 'invalid';
  readonly reason: string;
  readonly cause?: unknown;
}

/** The answers of one server, within limits. */
export class AnswerStream {
  readonly #reader = new AnswerReader();
  /** Bytes since the last read with an ack of a chunk. */
  #unaskedBytes = 0;
  #isSilent = true;

  /** Whether the server has sent nothing yet. */
  get isSilent(): boolean {
    return this.#isSilent;
  }

  /** Whether the beginning of an answer has arrived and its end has not. */
  get isPartial(): boolean {
    return this.#reader.isPartial;
  }

  /** Returns the answers that are complete with `data`. Answers that the caller does not take come with the next call. */
  *read(data: Buffer): Generator<Answer | InvalidAnswer> {
    if (data.length > 0) this.#isSilent = false;
    this.#unaskedBytes += data.length;
    try {
      yield* this.#reader.push(data);
    } catch (error) {
      yield { kind: 'invalid', reason: `the server answered with ${messageOf(error)}`, cause: error };
      return;
    }
    // This is more than the acks of all chunks that can be in flight, stale ones included: 1,024 of 30 bytes.
    if (this.#unaskedBytes > MAX_ANSWER_BYTES) {
      yield { kind: 'invalid', reason: `the server has sent ${this.#unaskedBytes} bytes that acknowledge nothing` };
    }
  }

  /** The last answer was an ack of a chunk that is in flight. */
  acknowledged(): void {
    this.#unaskedBytes = 0;
  }
}
