import { createHash } from 'node:crypto';
import { encode } from '@msgpack/msgpack';

/** What a client proves and is proved with; the salt is what its PING of these sessions holds. */
export const LOGIN = { hostname: 'client', sharedKey: 'fuzz', username: '', password: '' };
export const SALT = '00112233445566778899aabbccddeeff';
const NONCE = Buffer.from('f0e1d2c3b4a5968778695a4b3c2d1e0f', 'hex');
const AUTH = Buffer.from('8081828384858687feff0000c1c1c1c1', 'hex');
const STALE = 'c3RhbGUgYW5kIHVua25vd24=';

/** By SHA-512 of the parts, as both sides of a handshake prove what they know. */
export function digestOf(...parts: readonly (string | Uint8Array)[]): string {
  const hash = createHash('sha512');
  for (const part of parts) hash.update(part);
  return hash.digest('hex');
}

function joined(...parts: readonly (string | Uint8Array)[]): Buffer {
  return Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part, 'latin1') : part)));
}

function repeated(part: Uint8Array, times: number): Buffer {
  return Buffer.concat(Array(times).fill(part));
}

const FLUENT_BIT_HELLO = joined('\x92\xa4HELO\x82\xa5nonce\xb0', NONCE, '\xa4auth\xb0', AUTH);
const FLUENTD_HELLO = encode(['HELO', { nonce: NONCE, auth: AUTH, keepalive: true }]);
const PONG = encode(['PONG', true, '', 'receiver', digestOf(SALT, 'receiver', NONCE, LOGIN.sharedKey)]);
const ack = (chunk: string): Uint8Array => encode({ ack: chunk });

/** What receivers answer to a chunk, and what others at their place do. */
export const ANSWERS: readonly ((chunk: string) => Uint8Array)[] = [
  // Real receivers.
  ack,
  (chunk) => joined(ack(chunk), ack(chunk)),
  (chunk) => joined(ack(STALE), ack(chunk)),
  (chunk) => joined(encode({}), ack(chunk)),
  () => encode({}),
  (chunk) => joined(FLUENT_BIT_HELLO, ack(chunk)),
  (chunk) => joined(FLUENTD_HELLO, PONG, ack(chunk)),
  (chunk) => joined(FLUENT_BIT_HELLO, PONG, ack(chunk), ack(STALE)),
  () => encode(['HELO', { nonce: NONCE, auth: AUTH, keepalive: false }]),
  () => joined(FLUENTD_HELLO, encode(['PONG', false, 'shared_key mismatch', '', ''])),
  () => joined(FLUENTD_HELLO, encode(['PONG', false, 'a\r\nforged: line\x1b[2J\u202e', '', ''])),
  () => joined(FLUENTD_HELLO, encode(['PONG', true, '', LOGIN.hostname, digestOf(SALT, 'client', NONCE, 'fuzz')])),
  () => joined('\x15\x03\x03\x00\x02\x02\x28'),
  () => joined('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n'),
  // The id, in every other way that it can be said.
  (chunk) => encode({ ack: Buffer.from(chunk) }),
  (chunk) => encode({ before: [1, { a: null }], ack: chunk, after: -1.5 }),
  (chunk) => joined('\xdf\0\0\0\x01\xdb\0\0\0\x03ack\xc6\0\0\0', Uint8Array.of(chunk.length), chunk),
  // The id, where it is no ack.
  (chunk) => encode([chunk]),
  (chunk) => encode({ ACK: chunk, ok: chunk }),
  (chunk) => encode({ ack: [chunk] }),
  (chunk) => encode({ ack: { ack: chunk } }),
  (chunk) => encode({ option: { ack: chunk } }),
  (chunk) => encode({ ack: chunk.slice(0, -1) }),
  (chunk) => encode({ ack: chunk.toLowerCase() }),
  (chunk) => joined('\x82\xa3ack', encode(chunk), '\xa3ack', encode(STALE)),
  (chunk) => joined('\x81\xa9__proto__', ack(chunk)),
  (chunk) => encode(chunk),
  (chunk) => encode(encode({ ack: chunk })),
  (chunk) => joined('\x81\xa3ack\xc7', Uint8Array.of(chunk.length), '\x05', chunk),
  // Too much.
  (chunk) => joined(repeated(Uint8Array.of(0x91), 31), ack(chunk)),
  (chunk) => joined(repeated(Uint8Array.of(0x91), 33), ack(chunk)),
  (chunk) => joined('\x82\xa1a', repeated(joined('\x81\xa1k'), 31), '\xc0\xa3ack', encode(chunk)),
  (chunk) => joined('\x82\xa1a', repeated(Uint8Array.of(0x91), 60), '\xc0\xa3ack', encode(chunk)),
  (chunk) => encode({ padding: 'x'.repeat(1_000), ack: chunk }),
  (chunk) => joined('\x82\xa1p\xdb\x05\xf5\xe1\0', ack(chunk)),
  (chunk) => joined('\xdd\xff\xff\xff\xff', ack(chunk)),
  (chunk) => joined(repeated(ack(STALE), 100), ack(chunk)),
  (chunk) => joined(repeated(encode({}), 100), ack(chunk)),
];

/** The chunk of {@link SESSIONS}. */
const CHUNK = 'Zm9yd2FyZCBmdXp6aW5nIQ==';

export const SESSIONS: readonly Buffer[] = ANSWERS.map((answer) => Buffer.from(answer(CHUNK)));
