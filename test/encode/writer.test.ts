import { encode } from '@msgpack/msgpack';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BufferPool } from '../../src/encode/buffer-pool.ts';
import { TooLargeError, Writer } from '../../src/encode/writer.ts';
import { decodeValue } from '../support/records.ts';
import { RUNS } from '../support/runs.ts';

/** What `write` writes, into a buffer that first holds other bytes and has to grow. */
function written(write: (writer: Writer) => void): Buffer {
  const pool = new BufferPool();
  const used = pool.acquire(1024);
  used.fill(0xc1);
  pool.release(used);
  const writer = new Writer(pool, 1024);
  write(writer);
  return writer.buffer.subarray(0, writer.position);
}

// One, two, three and four bytes in UTF-8.
const CHARACTERS = ['a', 'é', '€', '😀'];
const STRING_BYTES = [
  0, 1, 11, 12, 13, 30, 31, 32, 33, 254, 255, 256, 257, 1023, 1024, 4095, 4096, 4097, 65_534, 65_535, 65_536, 65_537,
  200_000,
];

/** A string of exactly `bytes` in UTF-8, made of `character` and, where that does not fit, of `x`. */
function stringOf(character: string, bytes: number): string {
  const size = Buffer.byteLength(character);
  return character.repeat(Math.floor(bytes / size)) + 'x'.repeat(bytes % size);
}

describe('strings', () => {
  it.each(STRING_BYTES)('the writer encodes a string as @msgpack/msgpack does, by its length in bytes: %i', (bytes) => {
    for (const character of CHARACTERS) {
      const text = stringOf(character, bytes);
      expect(written((writer) => writer.string(text)).equals(encode(text))).toBe(true);
    }
  });

  // The header is guessed from the number of code units: here the guess is wrong.
  it.each([31, 32, 255, 256, 65_535, 65_536])(
    'the writer encodes a string as @msgpack/msgpack does, by its length in code units: %i',
    (units) => {
      for (const character of ['a', 'é', '€']) {
        for (const text of [character.repeat(units), `${'a'.repeat(units - 1)}${character}`]) {
          expect(written((writer) => writer.string(text)).equals(encode(text))).toBe(true);
        }
      }
    },
  );

  it('the writer encodes any code units as valid UTF-8, with the replacement character for lone surrogates', () => {
    const text = fc.string({ unit: fc.integer({ min: 0, max: 0xffff }).map((code) => String.fromCharCode(code)) });
    const property = fc.property(text, (text) => {
      expect(written((writer) => writer.string(text))).toEqual(Buffer.from(encode(Buffer.from(text).toString())));
    });
    fc.assert(property, RUNS);
  });
});

const POWERS = [5, 7, 8, 15, 16, 31, 32, 33, 52].map((exponent) => 2 ** exponent);
const NUMBERS = [
  0,
  -0,
  ...POWERS.flatMap((power) => [power - 1, power, power + 1, -power + 1, -power, -power - 1]),
  Number.MAX_SAFE_INTEGER,
  Number.MIN_SAFE_INTEGER,
  2 ** 53,
  -(2 ** 53),
  2 ** 53 + 2,
  2 ** 63,
  2 ** 64,
  0.1,
  -0.1,
  1.5,
  Number.EPSILON,
  Number.MIN_VALUE,
  Number.MAX_VALUE,
];

describe('numbers', () => {
  it.each(NUMBERS)('the writer encodes a number as @msgpack/msgpack does: %s', (number) => {
    expect(written((writer) => writer.number(number))).toEqual(Buffer.from(encode(number)));
  });

  it('the writer encodes numbers of any size as @msgpack/msgpack does', () => {
    const number = fc.oneof(fc.maxSafeInteger(), fc.integer(), fc.double({ noNaN: true, noDefaultInfinity: true }));
    const property = fc.property(number, (number) => {
      expect(written((writer) => writer.number(number))).toEqual(Buffer.from(encode(number)));
    });
    fc.assert(property, RUNS);
  });

  it.each([0n, 1n, -1n, 2n ** 53n + 1n, 2n ** 63n - 1n, -(2n ** 53n) - 1n, -(2n ** 63n)])(
    'the writer keeps every digit of a bigint: %d',
    (value) => {
      expect(BigInt(decodeValue(written((writer) => writer.bigint(value))) as bigint)).toBe(value);
    },
  );
});

describe('other types and the buffer', () => {
  it('the writer encodes nil and booleans, and copies bytes that are MessagePack already', () => {
    const bytes = written((writer) => {
      writer.arrayHeader(5);
      writer.nil();
      writer.boolean(true);
      writer.boolean(false);
      writer.raw(encode('short'));
      writer.raw(encode('l'.repeat(5_000)));
    });
    expect(bytes.equals(encode([null, true, false, 'short', 'l'.repeat(5_000)]))).toBe(true);
  });

  it.each([0, 1, 15, 16, 17, 65_535, 65_536, 70_000])(
    'the writer encodes an array and a map as @msgpack/msgpack does, by size: %i',
    (size) => {
      const array = new Array(size).fill(1);
      const arrayBytes = written((writer) => {
        writer.arrayHeader(size);
        for (const element of array) writer.number(element);
      });
      expect(arrayBytes.equals(encode(array))).toBe(true);

      const map = Object.fromEntries(array.map((element, i) => [`k${i}`, element]));
      const mapBytes = written((writer) => {
        writer.string('before');
        const start = writer.startMap();
        for (const [key, element] of Object.entries(map)) {
          writer.string(key);
          writer.number(element);
        }
        writer.endMap(start, size);
        writer.string('behind');
      });
      expect(mapBytes.equals(Buffer.concat([encode('before'), encode(map), encode('behind')]))).toBe(true);
    },
  );

  it('the writer encodes an event time as fixext8 of type 0', () => {
    const bytes = written((writer) => writer.eventTime(0xfffffffd, 999_999_999));
    expect(bytes.toString('hex')).toBe('d700fffffffd3b9ac9ff');
  });

  it('the writer throws when bytes would take the buffer past its limit, and writes none of them', () => {
    const writer = new Writer(new BufferPool(), 1024);
    writer.limit = 2000;
    writer.raw(new Uint8Array(1500));
    expect(() => writer.raw(new Uint8Array(600))).toThrow(TooLargeError);
    expect(writer.position).toBe(1500);
  });

  it('the writer returns a buffer that has become too small to the pool', () => {
    const pool = new BufferPool();
    const writer = new Writer(pool, 1024);
    for (let i = 0; i < 100; i++) writer.string('x'.repeat(100));
    expect(writer.buffer.length).toBe(16_384);
    expect(pool.retainedBytes).toBe(1024 + 2048 + 4096 + 8192);
  });
});
