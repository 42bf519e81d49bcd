import fc from 'fast-check';
import { SESSIONS } from './sessions.ts';

/** One change to bytes. Places and lengths are taken modulo what there is. */
export type Mutation =
  | { readonly kind: 'flip'; readonly at: number; readonly mask: number }
  | { readonly kind: 'cut'; readonly at: number; readonly length: number }
  | { readonly kind: 'insert'; readonly at: number; readonly bytes: Uint8Array }
  | { readonly kind: 'repeat'; readonly at: number; readonly length: number; readonly times: number }
  | { readonly kind: 'announce'; readonly at: number; readonly type: number; readonly length: number };

const at = fc.nat();
const length = fc.nat(40);

/** A part of another session. */
const splice = fc
  .tuple(fc.constantFrom(...SESSIONS), at, fc.nat(80))
  .map(([session, start, size]) => session.subarray(start % session.length, (start % session.length) + size));

/** The types whose length takes 32 bits: bin, ext, str, array, map. */
const LONG_TYPES = [0xc6, 0xc9, 0xdb, 0xdd, 0xdf];

const mutation: fc.Arbitrary<Mutation> = fc.oneof(
  fc.record({ kind: fc.constant('flip' as const), at, mask: fc.integer({ min: 1, max: 255 }) }),
  fc.record({ kind: fc.constant('cut' as const), at, length }),
  fc.record({
    kind: fc.constant('insert' as const),
    at,
    bytes: fc.oneof(fc.uint8Array({ minLength: 1, maxLength: 8 }), splice),
  }),
  fc.record({ kind: fc.constant('repeat' as const), at, length, times: fc.oneof(fc.constant(2), fc.nat(50)) }),
  fc.record({
    kind: fc.constant('announce' as const),
    at,
    type: fc.constantFrom(...LONG_TYPES),
    length: fc.oneof(fc.nat(100), fc.nat(70_000), fc.nat(0xffffffff)),
  }),
);

export const mutations: fc.Arbitrary<Mutation[]> = fc.array(mutation, { maxLength: 4 });

export function mutated(bytes: Uint8Array, changes: readonly Mutation[]): Buffer {
  return changes.reduce(changed, Buffer.from(bytes));
}

function changed(bytes: Buffer, change: Mutation): Buffer {
  const start = change.at % (bytes.length + 1);
  const [before, after] = [bytes.subarray(0, start), bytes.subarray(start)];
  switch (change.kind) {
    case 'flip':
      return Buffer.concat([before, after.subarray(0, 1).map((byte) => byte ^ change.mask), after.subarray(1)]);
    case 'cut':
      return Buffer.concat([before, after.subarray(change.length)]);
    case 'insert':
      return Buffer.concat([before, change.bytes, after]);
    case 'repeat': {
      const part = after.subarray(0, change.length);
      return Buffer.concat([before, ...Array(change.times).fill(part), after.subarray(change.length)]);
    }
    case 'announce': {
      const header = Buffer.alloc(5, change.type);
      header.writeUInt32BE(change.length, 1);
      return Buffer.concat([before, header, after.subarray(1)]);
    }
  }
}

/** Where a sender's writes end. */
export const cuts: fc.Arbitrary<number[]> = fc.array(fc.nat(), { maxLength: 6 });

/** The bytes in as many parts as there are cuts, and one more. */
export function split(bytes: Buffer, places: readonly number[]): Buffer[] {
  const ends = [...places.map((place) => place % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  return ends.map((end, i) => bytes.subarray(ends[i - 1] ?? 0, end));
}
