import { runInNewContext } from 'node:vm';
import type { BatchEncoder } from '../../src/encode/batch.ts';
import { NOW, record } from '../support/records.ts';

/** A JavaScript value and what a receiver gets in its place. */
export interface ValueCase {
  readonly name: string;
  /** Makes the value; `encoder` is the one that is going to encode it. */
  readonly value: (encoder: BatchEncoder) => unknown;
  /** What a receiver decodes; `undefined` when it gets nothing, not even a key. */
  readonly expected: unknown;
  /** Only as a record's body, because the limit that it meets counts what stands around it too. */
  readonly onlyAsBody?: true;
}

const THREW_REVOKED = "[Threw: Cannot perform 'getPrototypeOf' on a proxy that has been revoked]";
const ELEMENTS = 65_536;
const STACK = 'Error: boom\n    at work (app.js:1:2)';

/** An error whose stack does not depend on where this file is. */
function withStack<T extends Error>(error: T, stack = STACK): T {
  return Object.defineProperty(error, 'stack', { value: stack });
}

function nested(levels: number, innermost: unknown, wrap: (value: unknown) => unknown): unknown {
  let value = innermost;
  for (let i = 0; i < levels; i++) value = wrap(value);
  return value;
}

/** Each level refers to the one below twice: written out, 2^levels paths. */
function lattice(levels: number): unknown {
  let value: unknown = [];
  for (let i = 0; i < levels; i++) value = [value, value];
  return value;
}

/** The same, written out until `left` containers are used up. */
function writtenOut(levels: number, budget: { left: number }): unknown {
  if (budget.left === 0) return '[Too many objects]';
  budget.left--;
  return levels === 0 ? [] : [writtenOut(levels - 1, budget), writtenOut(levels - 1, budget)];
}

function cyclic(): unknown {
  const parent: Record<string, unknown> = { name: 'parent', children: [] };
  (parent.children as unknown[]).push({ name: 'child', parent });
  return parent;
}

function revoked(target: object): unknown {
  const { proxy, revoke } = Proxy.revocable(target, {});
  revoke();
  return proxy;
}

/** An array whose `length` is a lie. */
function claimingLength(length: unknown): unknown {
  return new Proxy(['x', 'x', 'x'], { get: (target, key) => (key === 'length' ? length : Reflect.get(target, key)) });
}

function throws(error: unknown): () => never {
  return () => {
    throw error;
  };
}

class Point {
  readonly x: number;
  readonly y: number;
  readonly #secret = 'not shown';

  constructor(x: number, y: number) {
    this.x = x;
    this.y = y;
  }

  get secret(): string {
    return this.#secret;
  }
}

class Money {
  readonly #cents = 150;

  toString(): string {
    return `${this.#cents / 100} EUR`;
  }
}

class Unprintable {
  toString(): string {
    throw new Error('no');
  }
}

/** Every kind of value that can stand in a body or an attribute, with exactly what becomes of it. */
export const VALUES: readonly ValueCase[] = [
  // strings
  { name: 'string', value: () => 'hello', expected: 'hello' },
  { name: 'empty string', value: () => '', expected: '' },
  { name: 'string with NUL, emoji, right-to-left', value: () => 'a\0b 😀 שלום', expected: 'a\0b 😀 שלום' },
  { name: 'lone surrogates', value: () => 'a\ud83db\ude00', expected: 'a\ufffdb\ufffd' },
  {
    name: '50 MB string of ASCII',
    value: () => 'x'.repeat(50_000_000),
    expected: `${'x'.repeat(262_104)}…[truncated 49737896 bytes]`,
  },
  {
    name: '50 MB string, cut at a code point of four bytes',
    value: () => `a${'😀'.repeat(12_500_000)}`,
    // One byte and 65,525 times four make 262,101; the next would pass 262,104.
    expected: `a${'😀'.repeat(65_525)}…[truncated 49737900 bytes]`,
  },
  { name: 'string of exactly maxStringBytes', value: () => 'é'.repeat(131_072), expected: 'é'.repeat(131_072) },

  // numbers
  { name: 'integer', value: () => -42, expected: -42 },
  { name: 'float', value: () => 0.1, expected: 0.1 },
  { name: '-0', value: () => -0, expected: 0 },
  { name: 'NaN', value: () => Number.NaN, expected: 'NaN' },
  { name: 'Infinity', value: () => Number.POSITIVE_INFINITY, expected: 'Infinity' },
  { name: '-Infinity', value: () => Number.NEGATIVE_INFINITY, expected: '-Infinity' },
  { name: 'largest safe integer', value: () => 2 ** 53 - 1, expected: 2 ** 53 - 1 },
  { name: 'number beyond 53 bits', value: () => 2 ** 53 + 2, expected: 2 ** 53 + 2 },
  { name: 'number beyond int64', value: () => 2 ** 63, expected: 2 ** 63 },
  { name: 'number beyond uint64', value: () => 2 ** 64, expected: 2 ** 64 },
  { name: 'largest number', value: () => Number.MAX_VALUE, expected: Number.MAX_VALUE },
  { name: 'BigInt within 53 bits', value: () => -12n, expected: -12 },
  { name: 'BigInt beyond 53 bits', value: () => 2n ** 53n + 1n, expected: 2n ** 53n + 1n },
  { name: 'smallest int64', value: () => -(2n ** 63n), expected: -(2n ** 63n) },
  { name: 'largest int64', value: () => 2n ** 63n - 1n, expected: 2n ** 63n - 1n },
  { name: 'BigInt beyond int64', value: () => 2n ** 63n, expected: '9223372036854775808' },
  { name: 'largest uint64', value: () => 2n ** 64n - 1n, expected: '18446744073709551615' },
  { name: 'BigInt beyond uint64', value: () => 2n ** 64n, expected: '18446744073709551616' },
  { name: 'BigInt below int64', value: () => -(2n ** 63n) - 1n, expected: '-9223372036854775809' },

  // the other primitives
  { name: 'boolean', value: () => true, expected: true },
  { name: 'null', value: () => null, expected: null },
  { name: 'undefined', value: () => undefined, expected: undefined },
  { name: 'undefined in an array', value: () => [undefined, 1], expected: [null, 1] },
  { name: 'undefined as a property', value: () => ({ a: undefined, b: 1 }), expected: { b: 1 } },
  { name: 'symbol', value: () => Symbol('s'), expected: 'Symbol(s)' },

  // functions
  { name: 'function', value: () => function work() {}, expected: '[Function: work]' },
  { name: 'anonymous function', value: () => () => {}, expected: '[Function: anonymous]' },
  { name: 'class', value: () => Point, expected: '[Function: Point]' },
  { name: 'revoked proxy of a function', value: () => revoked(() => {}), expected: '[Function: anonymous]' },

  // bytes
  { name: 'Uint8Array', value: () => Uint8Array.of(0, 1, 254, 255), expected: 'AAH+/w==' },
  { name: 'empty Uint8Array', value: () => new Uint8Array(0), expected: '' },
  { name: 'part of a Uint8Array', value: () => Uint8Array.of(9, 1, 2, 9).subarray(1, 3), expected: 'AQI=' },
  { name: 'Buffer', value: () => Buffer.from('hello'), expected: 'aGVsbG8=' },
  { name: 'Uint8ClampedArray', value: () => Uint8ClampedArray.of(1, 300), expected: 'Af8=' },
  { name: 'ArrayBuffer', value: () => Uint8Array.of(1, 2, 3).buffer, expected: 'AQID' },
  { name: 'SharedArrayBuffer', value: () => new SharedArrayBuffer(3), expected: 'AAAA' },
  { name: 'DataView', value: () => new DataView(Uint8Array.of(1, 2, 3, 4).buffer, 1, 2), expected: 'AgM=' },
  {
    name: 'more bytes than maxStringBytes holds in base64',
    value: () => new Uint8Array(1_000_000),
    expected: `${'A'.repeat(262_104)}…[truncated 803422 bytes]`,
  },
  { name: 'Int16Array', value: () => Int16Array.of(-1, 300), expected: [-1, 300] },
  { name: 'Float32Array', value: () => Float32Array.of(0.5, Number.NaN), expected: [0.5, 'NaN'] },
  {
    name: 'BigUint64Array',
    value: () => BigUint64Array.of(1n, 2n ** 63n - 1n, 2n ** 63n, 2n ** 64n - 1n),
    expected: [1, 2n ** 63n - 1n, '9223372036854775808', '18446744073709551615'],
  },
  { name: 'BigInt64Array', value: () => BigInt64Array.of(-(2n ** 63n), -1n), expected: [-(2n ** 63n), -1] },

  // dates, errors
  { name: 'Date', value: () => new Date(1_700_000_000_123), expected: '2023-11-14T22:13:20.123Z' },
  { name: 'Date after the year 9999', value: () => new Date(8.64e15), expected: '+275760-09-13T00:00:00.000Z' },
  { name: 'invalid Date', value: () => new Date(Number.NaN), expected: 'Invalid Date' },
  {
    name: 'Error with cause, stack and own properties',
    value: () =>
      Object.assign(withStack(new TypeError('boom', { cause: withStack(new Error('why'), 'S') })), { code: 'E1' }),
    expected: {
      name: 'TypeError',
      message: 'boom',
      stack: STACK,
      cause: { name: 'Error', message: 'why', stack: 'S' },
      code: 'E1',
    },
  },
  {
    name: 'AggregateError',
    value: () => withStack(new AggregateError([withStack(new Error('one')), 'two'], 'both')),
    expected: {
      name: 'AggregateError',
      message: 'both',
      stack: STACK,
      errors: [{ name: 'Error', message: 'one', stack: STACK }, 'two'],
    },
  },
  {
    name: 'Error that is its own cause',
    value: () => {
      const error = withStack(new Error('round'));
      error.cause = error;
      return error;
    },
    expected: { name: 'Error', message: 'round', stack: STACK, cause: '[Circular]' },
  },
  {
    name: 'Error without a stack, with a throwing property',
    value: () => {
      const error = new Error('bare');
      Object.defineProperty(error, 'stack', { value: undefined });
      return Object.defineProperty(error, 'detail', { enumerable: true, get: throws(new Error('no')) });
    },
    expected: { name: 'Error', message: 'bare', detail: '[Threw: no]' },
  },
  {
    name: 'DOMException',
    value: () => withStack(new DOMException('gone', 'AbortError')),
    expected: { name: 'AbortError', message: 'gone', stack: STACK },
  },

  // collections
  { name: 'Map', value: () => new Map([['a', [1]]]), expected: { a: [1] } },
  {
    name: 'Map with keys of other types',
    value: () =>
      new Map<unknown, unknown>([
        [1, 'number'],
        [null, 'null'],
        [true, 'boolean'],
        [Symbol('s'), 'symbol'],
        [{}, 'object'],
        [{ toString: throws(new Error('no')) }, 'unreadable'],
      ]),
    expected: {
      1: 'number',
      null: 'null',
      true: 'boolean',
      'Symbol(s)': 'symbol',
      '[object Object]': 'object',
      '': 'unreadable',
    },
  },
  {
    name: 'Map with keys that collide',
    value: () =>
      new Map<unknown, unknown>([
        ['1', 'a'],
        ['1 (2)', 'b'],
        [1, 'c'],
        [1n, 'd'],
      ]),
    expected: { 1: 'a', '1 (2)': 'b', '1 (3)': 'c', '1 (4)': 'd' },
  },
  { name: 'Set', value: () => new Set(['a', 1, 'a']), expected: ['a', 1] },
  {
    name: 'Map and Set that contain themselves',
    value: () => {
      const map = new Map<string, unknown>();
      return map.set('map', map).set('set', new Set([map]));
    },
    expected: { map: '[Circular]', set: ['[Circular]'] },
  },
  { name: 'WeakMap', value: () => new WeakMap(), expected: '[object WeakMap]' },
  { name: 'Promise', value: () => Promise.resolve(1), expected: '[object Promise]' },

  // objects
  { name: 'object', value: () => ({ a: 1, b: { c: [true] } }), expected: { a: 1, b: { c: [true] } } },
  { name: 'object without a prototype', value: () => Object.assign(Object.create(null), { a: 1 }), expected: { a: 1 } },
  { name: 'empty object without a prototype', value: () => Object.create(null), expected: {} },
  {
    name: 'symbol keys, inherited and hidden properties',
    value: () =>
      Object.defineProperty(Object.assign(Object.create({ inherited: 1 }), { [Symbol('s')]: 2, own: 3 }), 'hidden', {
        value: 4,
      }),
    expected: { own: 3 },
  },
  { name: 'lone surrogate in a key', value: () => ({ 'a\ud800': 1 }), expected: { 'a\ufffd': 1 } },
  { name: 'key __proto__', value: () => JSON.parse('{"__proto__":1}'), expected: { ['__proto__']: 1 } },
  { name: 'class instance', value: () => new Point(1, 2), expected: { x: 1, y: 2 } },
  { name: 'class instance without properties', value: () => new (class Empty {})(), expected: {} },
  { name: 'class instance with nothing but toString', value: () => new Money(), expected: '1.5 EUR' },
  { name: 'URL', value: () => new URL('https://user@host/p?q=ä#f'), expected: 'https://user@host/p?q=%C3%A4#f' },
  { name: 'URLSearchParams', value: () => new URLSearchParams({ a: '1', b: 'ä' }), expected: 'a=1&b=%C3%A4' },
  { name: 'RegExp', value: () => /a+\/b/giu, expected: '/a+\\/b/giu' },
  {
    name: 'boxed primitives',
    value: () => [Object('s'), Object(1), Object(false), Object(5n), Object(Symbol('s'))],
    expected: ['s', 1, false, 5, 'Symbol(s)'],
  },
  {
    name: 'shared references',
    value: () => {
      const shared = { a: 1 };
      return [shared, { shared }];
    },
    expected: [{ a: 1 }, { shared: { a: 1 } }],
  },
  {
    name: 'cycle',
    value: cyclic,
    expected: { name: 'parent', children: [{ name: 'child', parent: '[Circular]' }] },
  },

  // toJSON
  { name: 'toJSON', value: () => ({ a: 1, toJSON: () => ({ b: [2n] }) }), expected: { b: [2] } },
  { name: 'toJSON that gives undefined', value: () => [{ toJSON: () => undefined }], expected: [null] },
  {
    name: 'toJSON that gives this',
    value: () => Object.assign(Object.create({ toJSON: itself }), { a: 1 }),
    expected: { a: 1 },
  },
  { name: 'toJSON that throws', value: () => ({ toJSON: throws(new Error('no')) }), expected: '[Threw: no]' },
  {
    name: 'toJSON that never ends',
    value: () => {
      const endless = (): object => ({ toJSON: endless });
      return endless();
    },
    expected: '[Too deep]',
  },
  {
    name: 'toJSON that logs: encodes another batch',
    value: (encoder) => ({
      toJSON() {
        const inner = [record({ body: 'logged by toJSON', resource: { attributes: { inner: true } } })];
        for (const chunk of encoder.encode(inner, NOW).chunks) chunk.release();
        return ['after'];
      },
    }),
    expected: ['after'],
  },

  // what throws
  {
    name: 'throwing getter',
    value: () => Object.defineProperty({ a: 1 }, 'b', { enumerable: true, get: throws(new Error('no')) }),
    expected: { a: 1, b: '[Threw: no]' },
  },
  {
    name: 'getter that throws what is no Error',
    value: () => Object.defineProperty({}, 'b', { enumerable: true, get: throws('a string') }),
    expected: { b: '[Threw: a string]' },
  },
  {
    name: 'getter that throws what cannot be read',
    value: () => Object.defineProperty({}, 'b', { enumerable: true, get: throws(Object.create(null)) }),
    expected: { b: '[Threw: ]' },
  },
  {
    name: 'throwing element of an array',
    value: () => Object.defineProperty([1, 2, 3], 1, { get: throws(new Error('no')) }),
    expected: [1, '[Threw: no]', 3],
  },
  { name: 'toString that throws', value: () => new Unprintable(), expected: '[Threw: no]' },

  // proxies
  { name: 'proxy', value: () => new Proxy({ a: 1 }, {}), expected: { a: 1 } },
  { name: 'proxy of an array', value: () => new Proxy([1, 2], {}), expected: [1, 2] },
  { name: 'revoked proxy', value: () => [revoked({}), revoked([])], expected: [THREW_REVOKED, THREW_REVOKED] },
  { name: 'proxy that throws', value: () => new Proxy({}, { get: throws(new Error('no')) }), expected: '[Threw: no]' },
  {
    name: 'proxy that throws half way',
    value: () => {
      let reads = 0;
      return new Proxy(
        { a: 1, b: 2 },
        {
          getOwnPropertyDescriptor: (target, key) => {
            if (++reads > 1) throw new Error('no');
            return Reflect.getOwnPropertyDescriptor(target, key);
          },
        },
      );
    },
    expected: '[Threw: no]',
    onlyAsBody: true,
  },
  { name: 'proxy of an array of length -200', value: () => claimingLength(-200), expected: [] },
  { name: 'proxy of an array of length 1.5', value: () => claimingLength(1.5), expected: ['x'] },
  { name: 'proxy of an array of length "2"', value: () => claimingLength('2'), expected: ['x', 'x'] },
  { name: 'proxy of an array of length NaN', value: () => claimingLength(Number.NaN), expected: [] },

  // limits
  { name: 'sparse array', value: () => Object.assign(new Array(3), { 1: 'x' }), expected: [null, 'x', null] },
  {
    name: 'sparse array of length 4e9',
    value: () => Object.assign(new Array(4e9), { 1: 'x' }),
    expected: [null, 'x', ...new Array(ELEMENTS - 2).fill(null), '…[truncated 3999934464 elements]'],
  },
  {
    name: 'object of 70,000 properties',
    value: () => Object.fromEntries(Array.from({ length: 70_000 }, (_, i) => [`k${i}`, 0])),
    expected: {
      ...Object.fromEntries(Array.from({ length: ELEMENTS }, (_, i) => [`k${i}`, 0])),
      '…': '…[truncated 4464 elements]',
    },
  },
  {
    name: 'Map of 70,000 entries',
    value: () => new Map(Array.from({ length: 70_000 }, (_, i) => [i, 0])),
    expected: {
      ...Object.fromEntries(Array.from({ length: ELEMENTS }, (_, i) => [i, 0])),
      '…': '…[truncated 4464 elements]',
    },
  },
  {
    name: 'Set of 70,000 values',
    value: () => new Set(Array.from({ length: 70_000 }, (_, i) => i)),
    expected: [...Array.from({ length: ELEMENTS }, (_, i) => i), '…[truncated 4464 elements]'],
  },
  {
    name: 'objects nested 10,000 deep',
    value: () => nested(10_000, 1, (a) => ({ a })),
    // The entry and the record are the two containers around the body's 48.
    expected: nested(48, '[Too deep]', (a) => ({ a })),
    onlyAsBody: true,
  },
  {
    name: 'arrays nested 10,000 deep',
    value: () => nested(10_000, 1, (a) => [a]),
    expected: nested(48, '[Too deep]', (a) => [a]),
    onlyAsBody: true,
  },
  {
    name: 'shared references on very many paths',
    value: () => lattice(40),
    expected: writtenOut(40, { left: 10_000 }),
    onlyAsBody: true,
  },
  {
    name: 'more than 10,000 objects',
    value: () => Array.from({ length: 10_002 }, () => ({})),
    expected: [...Array.from({ length: 9_999 }, () => ({})), ...new Array(3).fill('[Too many objects]')],
    onlyAsBody: true,
  },

  // another realm, whose classes are not instances of this one's
  ...(
    [
      ['object', '({ a: 1 })', { a: 1 }],
      ['empty object', '({})', {}],
      ['array', '[1, [2]]', [1, [2]]],
      ['Map', 'new Map([["a", 1]])', { a: 1 }],
      ['Set', 'new Set([1])', [1]],
      ['Date', 'new Date(0)', '1970-01-01T00:00:00.000Z'],
      ['RegExp', '/x/y', '/x/y'],
      ['Uint8Array', 'new Uint8Array([1])', 'AQ=='],
      ['ArrayBuffer', 'new ArrayBuffer(3)', 'AAAA'],
      ['Float64Array', 'new Float64Array([0.5])', [0.5]],
      ['boxed string', 'Object("s")', 's'],
      [
        'Error',
        'Object.defineProperty(new RangeError("m"), "stack", { value: "S" })',
        { name: 'RangeError', message: 'm', stack: 'S' },
      ],
    ] as const
  ).map(([name, code, expected]) => ({
    name: `${name} of another realm`,
    value: (): unknown => runInNewContext(code),
    expected,
  })),
];

function itself(this: unknown): unknown {
  return this;
}
