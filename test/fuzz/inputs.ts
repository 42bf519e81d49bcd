import { encode } from '@msgpack/msgpack';
import fc from 'fast-check';

/** How many inputs a run has: few in CI, a million in `npm run fuzz`. */
export const INPUTS = Number(process.env.FUZZ_INPUTS ?? 50_000);
/** Always the same in CI: a failure there must be one that the last change made. */
export const SEED = Number(process.env.FUZZ_SEED ?? 20_231_114);

export const CHUNK_ID = 'AAECAwQFBgcICQoLDA0ODw==';
const NONCE = Buffer.from('fe00ff80c1d3a0b192e3f4a5b6c7d8e9', 'hex');

/** What servers say, byte by byte as they do. */
export const SESSIONS: readonly Buffer[] = [
  // Fluent Bit's HELO holds strings that are not UTF-8.
  Buffer.concat([Buffer.from('92a448454c4f82a56e6f6e6365b0', 'hex'), NONCE, Buffer.from('a461757468b0', 'hex'), NONCE]),
  Buffer.from(encode(['HELO', { nonce: NONCE, auth: NONCE, keepalive: true }])),
  Buffer.from(encode(['PONG', true, '', 'receiver.example', 'ab'.repeat(64)])),
  Buffer.from(encode(['PONG', false, 'shared_key mismatch', '', ''])),
  Buffer.from(encode({ ack: CHUNK_ID })),
  Buffer.concat(Array.from({ length: 5 }, () => encode({ ack: CHUNK_ID }))),
  Buffer.from(encode({})),
  Buffer.from(encode(null)),
  Buffer.from(encode({ ack: CHUNK_ID, more: [1, -1, 1.5, 'x'.repeat(300), [[[{ a: null }]]]] })),
];

/** The headers that announce the most: whoever believes them makes room for 4 GiB. */
const HUGE = ['c6ffffffff', 'dbffffffff', 'ddffffffff', 'dfffffffff', 'c9ffffffff00'].map((hex) =>
  Buffer.from(hex, 'hex'),
);

/** A change of bytes; its place is a part of their length. */
type Change = (bytes: Buffer) => Buffer;

const place = fc.double({ min: 0, max: 1, noNaN: true });
const at = (bytes: Buffer, part: number) => Math.floor(part * bytes.length);

const insertion = (what: fc.Arbitrary<Uint8Array>): fc.Arbitrary<Change> =>
  fc.tuple(place, what).map(
    ([part, inserted]): Change =>
      (bytes) => {
        const index = at(bytes, part);
        return Buffer.concat([bytes.subarray(0, index), inserted, bytes.subarray(index)]);
      },
  );

const change: fc.Arbitrary<Change> = fc.oneof(
  fc.tuple(place, fc.integer({ min: 0, max: 255 })).map(
    ([part, value]): Change =>
      (bytes) => {
        const changed = Buffer.from(bytes);
        changed[at(bytes, part)] = value;
        return changed;
      },
  ),
  fc.tuple(place, fc.integer({ min: 0, max: 7 })).map(
    ([part, bit]): Change =>
      (bytes) => {
        const changed = Buffer.from(bytes);
        const index = at(bytes, part);
        changed[index] = (changed[index] ?? 0) ^ (1 << bit);
        return changed;
      },
  ),
  place.map(
    (part): Change =>
      (bytes) =>
        bytes.subarray(0, at(bytes, part)),
  ),
  place.map(
    (part): Change =>
      (bytes) =>
        bytes.subarray(at(bytes, part)),
  ),
  fc.tuple(place, place).map(
    ([from, to]): Change =>
      (bytes) => {
        const part = bytes.subarray(at(bytes, Math.min(from, to)), at(bytes, Math.max(from, to)));
        return Buffer.concat([bytes, part]);
      },
  ),
  insertion(fc.uint8Array({ minLength: 1, maxLength: 20 })),
  insertion(fc.constantFrom(...HUGE)),
  insertion(fc.constantFrom(...SESSIONS)),
  // Deeper than anything is.
  insertion(fc.integer({ min: 1, max: 200 }).map((depth) => Buffer.alloc(depth, 0x91))),
);

/** Sessions that were changed, made-up messages, and bytes of any kind; `base` stands among the sessions. */
export function hostileBytes(base: readonly Buffer[] = SESSIONS): fc.Arbitrary<Buffer> {
  const changed = fc
    .tuple(fc.constantFrom(...base), fc.array(change, { maxLength: 4 }))
    .map(([session, changes]) => changes.reduce((bytes, apply) => apply(bytes), session));
  const madeUp = fc
    .array(fc.oneof(fc.jsonValue(), fc.dictionary(fc.constantFrom('ack', 'a', ''), fc.jsonValue()), fc.uint8Array()), {
      maxLength: 4,
    })
    .map((values) => Buffer.concat(values.map((value) => encode(value))));
  return fc.oneof(
    { arbitrary: changed, weight: 8 },
    { arbitrary: madeUp, weight: 1 },
    { arbitrary: fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)), weight: 1 },
  );
}
