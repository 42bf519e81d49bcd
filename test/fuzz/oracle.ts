import { Decoder } from '@msgpack/msgpack';
import type { Answer } from '../../src/protocol/answer.ts';

/** What a stream of answers says. */
export interface Reading {
  /** Up to the first that is none. */
  readonly answers: Answer[];
  /** Whether something follows that is no answer, or the beginning of one. */
  readonly hasRest: boolean;
}

const decoder = new Decoder({
  rawStrings: true,
  // It makes room for what is announced. No input holds so many elements in what could be an answer.
  maxArrayLength: 4_096,
});
const MAX_DEPTH = 32;

/** Reads a stream that is there as a whole: framed by the MessagePack library, not by this package. */
export function readingOf(bytes: Uint8Array): Reading {
  const answers: Answer[] = [];
  try {
    for (const value of decoder.decodeMulti(bytes)) {
      const answer = isDeeper(value, MAX_DEPTH) ? undefined : answerOf(value);
      if (answer === undefined) return { answers, hasRest: true };
      answers.push(answer);
    }
  } catch {
    return { answers, hasRest: true };
  }
  return { answers, hasRest: false };
}

function answerOf(value: unknown): Answer | undefined {
  if (!Array.isArray(value)) {
    if (!isMap(value)) return undefined;
    return value.ack instanceof Uint8Array ? { kind: 'ack', chunk: text(value.ack) } : { kind: 'not accepted' };
  }
  const [type, ...parts] = value as unknown[];
  if (!(type instanceof Uint8Array)) return undefined;
  if (text(type) === 'HELO') return helloOf(parts);
  return text(type) === 'PONG' ? pongOf(parts) : undefined;
}

function helloOf([options]: readonly unknown[]): Answer | undefined {
  if (!isMap(options)) return undefined;
  const { nonce, auth, keepalive } = options;
  if (!(nonce instanceof Uint8Array && auth instanceof Uint8Array)) return undefined;
  return {
    kind: 'hello',
    hello: { nonce: Buffer.from(nonce), auth: Buffer.from(auth), keepAlive: keepalive !== false },
  };
}

function pongOf([isAccepted, reason, hostname, digest]: readonly unknown[]): Answer | undefined {
  if (typeof isAccepted !== 'boolean' || !(reason instanceof Uint8Array)) return undefined;
  if (!(hostname instanceof Uint8Array && digest instanceof Uint8Array)) return undefined;
  return {
    kind: 'pong',
    pong: {
      isAccepted,
      reason: Buffer.from(reason).toString(),
      hostname: Buffer.from(hostname),
      digest: Buffer.from(digest),
    },
  };
}

function isMap(value: unknown): value is Record<string, unknown> {
  return (
    typeof value === 'object' && value?.constructor !== undefined && Object.getPrototypeOf(value) === Object.prototype
  );
}

function isDeeper(value: unknown, levels: number): boolean {
  if (!Array.isArray(value) && !isMap(value)) return false;
  const children = Object.values(value);
  return levels === 0 ? children.length > 0 : children.some((child) => isDeeper(child, levels - 1));
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1');
}
