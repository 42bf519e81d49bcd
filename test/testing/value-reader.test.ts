import { deepStrictEqual } from 'node:assert';
import { Encoder } from '@msgpack/msgpack';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EventTime, MAX_DEPTH, ValueReader } from '../../src/testing/value-reader.ts';
import { RUNS } from '../support/runs.ts';

const encoder = new Encoder({ useBigInt64: true, ignoreUndefined: true });

function read(bytes: Uint8Array): unknown {
  const reader = new ValueReader(bytes);
  const value = reader.read();
  expect(reader.isAtEnd).toBe(true);
  return value;
}

function hex(digits: string): Buffer {
  return Buffer.from(digits.replaceAll(' ', ''), 'hex');
}

const key = fc.oneof(fc.string({ unit: 'grapheme' }), fc.constantFrom('', '__proto__', 'constructor', 'prototype'));
const { tree } = fc.letrec((self) => ({
  tree: fc.oneof(
    { withCrossShrink: true },
    fc.string({ unit: 'grapheme' }),
    fc.integer(),
    fc.bigInt({ min: -(2n ** 63n), max: -(2n ** 53n) }),
    fc.bigInt({ min: 2n ** 53n, max: 2n ** 64n - 1n }),
    // The library writes -0 as 0.
    fc.double().map((number) => number + 0),
    fc.boolean(),
    fc.constant(null),
    fc.uint8Array().map((bytes) => Buffer.from(bytes)),
    fc.array(self('tree'), { maxLength: 20 }),
    fc.array(fc.tuple(key, self('tree')), { maxLength: 20 }).map((entries) => Object.fromEntries(entries)),
  ),
}));

describe('ValueReader', () => {
  it('the value reader returns any value that @msgpack/msgpack has written', () => {
    fc.assert(
      fc.property(tree, (value) => {
        // A copy: the encoder uses its buffer again.
        deepStrictEqual(read(Uint8Array.from(encoder.encode(value))), value);
      }),
      RUNS,
    );
  });

  it('the value reader throws when the bytes end within a value', () => {
    const bytes = encoder.encode([{ a: 'text', b: [1.5, 2 ** 40, -200] }, hex('00ff'), 2n ** 60n, 'x'.repeat(300)]);
    for (let length = 0; length < bytes.length; length++) {
      expect(() => read(bytes.subarray(0, length))).toThrow('the bytes end within a value');
    }
  });

  it('the value reader allocates nothing for elements that are announced and do not arrive', () => {
    const arrays = Buffer.concat(Array.from({ length: 6 }, () => hex('dd 00ffffff')));
    const maps = Buffer.concat(Array.from({ length: 6 }, () => hex('df 00ffffff a0')));
    const before = process.memoryUsage().rss;
    for (const bytes of [arrays, maps]) expect(() => read(bytes)).toThrow('the bytes end within a value');
    expect(process.memoryUsage().rss - before).toBeLessThan(500_000_000);
  });

  it('the value reader rejects a byte that is no MessagePack', () => {
    expect(() => read(hex('92 01 c1'))).toThrow('the byte 0xc1 is no MessagePack');
  });

  it.each<[name: string, key: string, expected: string]>([
    ['__proto__', 'a9 5f5f70726f746f5f5f', '__proto__'],
    ['constructor', 'ab 636f6e7374727563746f72', 'constructor'],
    ['prototype', 'a9 70726f746f74797065', 'prototype'],
    ['toString', 'a8 746f537472696e67', 'toString'],
    ['an empty string', 'a0', ''],
    ['text in bin', 'c4 01 61', 'a'],
    ['an integer', '05', '5'],
    ['a negative integer', 'ff', '-1'],
    ['an integer of 64 bits', 'cf ffffffffffffffff', '18446744073709551615'],
    ['a float', 'cb 3ff8000000000000', '1.5'],
    ['nil', 'c0', 'null'],
    ['a boolean', 'c3', 'true'],
  ])('the value reader makes an own property of a map key, and pollutes no prototype: %s', (_, key, name) => {
    // {key: {"polluted": true}, "last": 1}
    const bytes = hex(`82 ${key} 81 a8 706f6c6c75746564 c3 a4 6c617374 01`);
    const map = read(bytes) as object;
    expect(Object.getPrototypeOf(map)).toBe(Object.prototype);
    expect(Object.entries(map)).toEqual([
      [name, { polluted: true }],
      ['last', 1],
    ]);
    expect('polluted' in {}).toBe(false);
    expect(JSON.stringify(map)).toBe(`{${JSON.stringify(name)}:{"polluted":true},"last":1}`);
  });

  it.each([
    ['an array', '90'],
    ['a map', '80'],
    ['an extension value', 'd4 01 00'],
  ])('the value reader rejects a map key that has no text: %s', (_, key) => {
    expect(() => read(hex(`81 ${key} 01`))).toThrow('the key of a map is a container or an extension value');
  });

  it('the value reader replaces bytes that are not UTF-8, and keeps the text around them and a byte order mark', () => {
    // "f\xe9" and "AB": the first byte announces two more.
    expect(read(hex('92 a2 66e9 a2 4142'))).toEqual(['f\ufffd', 'AB']);
    expect(read(hex('a5 66e9203d20'))).toBe('f\ufffd = ');
    const long = `\ufeff${'x'.repeat(1_000)}`;
    expect(read(encoder.encode(long))).toBe(long);
  });

  it('the value reader returns str as bytes on demand', () => {
    expect(new ValueReader(hex('92 a2 66e9 81 a1 61 a1 62'), { rawStrings: true }).read()).toEqual([
      hex('66e9'),
      { a: hex('62') },
    ]);
  });

  it('the value reader returns a time for an extension value of type 0, and type and data of any other', () => {
    const time = read(hex('d7 00 6553f100 075bcd15'));
    expect(time).toBeInstanceOf(EventTime);
    expect(time).toEqual({ seconds: 1_700_000_000, nanoseconds: 123_456_789 });
    expect(read(hex('c7 08 00 fffffffe 00000001'))).toEqual({ seconds: 0xfffffffe, nanoseconds: 1 });
    expect(read(hex('d6 ff 6553f100'))).toEqual({ type: -1, data: hex('6553f100') });
    expect(read(hex('c7 03 05 010203'))).toEqual({ type: 5, data: hex('010203') });
    expect(read(hex('d4 00 07'))).toEqual({ type: 0, data: hex('07') });
  });

  it('the value reader accepts containers up to its depth, also after each other, and rejects a deeper one', () => {
    for (const container of ['91', '81 a1 6b', 'dc 0001']) {
      const nested = (depth: number): Buffer => hex(`${container.repeat(depth)}c0`);
      read(Buffer.concat([hex('92'), nested(MAX_DEPTH - 1), nested(MAX_DEPTH - 1)]));
      expect(() => read(nested(MAX_DEPTH + 1))).toThrow(`a value is nested deeper than ${MAX_DEPTH}`);
    }
  });
});
