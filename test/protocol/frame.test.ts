import { encode } from '@msgpack/msgpack';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FrameError, FrameReader } from '../../src/protocol/frame.ts';

const MAX = 65_536;

const bytes = (...parts: (number | string | Uint8Array)[]): Buffer =>
  Buffer.concat(
    parts
      .map((part) => (typeof part === 'string' ? Buffer.from(part) : typeof part === 'number' ? [part] : part))
      .map((part) => Buffer.from(part as Uint8Array)),
  );

/** One value of every type that MessagePack has, the lengths of 16 and 32 bits written out for small contents too. */
const FRAMES: readonly Buffer[] = [
  bytes(0x00),
  bytes(0x7f),
  bytes(0xe0),
  bytes(0xff),
  bytes(0xc0),
  bytes(0xc2),
  bytes(0xc3),
  bytes(0xca, new Uint8Array(4)),
  bytes(0xcb, new Uint8Array(8)),
  bytes(0xcc, 0xc1),
  bytes(0xcd, new Uint8Array(2).fill(0xc1)),
  bytes(0xce, new Uint8Array(4).fill(0xc1)),
  bytes(0xcf, new Uint8Array(8).fill(0xc1)),
  bytes(0xd0, 0xc1),
  bytes(0xd1, new Uint8Array(2).fill(0xc1)),
  bytes(0xd2, new Uint8Array(4).fill(0xc1)),
  bytes(0xd3, new Uint8Array(8).fill(0xc1)),
  bytes(0xd4, 0x05, 0xc1),
  bytes(0xd5, 0x05, new Uint8Array(2).fill(0xc1)),
  bytes(0xd6, 0x05, new Uint8Array(4).fill(0xc1)),
  bytes(0xd7, 0x00, new Uint8Array(8).fill(0xc1)),
  bytes(0xd8, 0x05, new Uint8Array(16).fill(0xc1)),
  bytes(0xc7, 3, 0x05, 'abc'),
  bytes(0xc8, 0, 3, 0x05, 'abc'),
  bytes(0xc9, 0, 0, 0, 3, 0x05, 'abc'),
  bytes(0xc4, 3, 'abc'),
  bytes(0xc5, 0, 3, 'abc'),
  bytes(0xc6, 0, 0, 0, 3, 'abc'),
  bytes(0xa0),
  bytes(0xa3, 'abc'),
  bytes(0xbf, 'x'.repeat(31)),
  bytes(0xd9, 3, 'abc'),
  bytes(0xda, 0, 3, 'abc'),
  bytes(0xdb, 0, 0, 0, 3, 'abc'),
  bytes(0x90),
  bytes(0x80),
  bytes(0xdc, 0, 0),
  bytes(0xdc, 0, 2, 0x01, 0x90),
  bytes(0xdd, 0, 0, 0, 1, 0xa1, 'a'),
  bytes(0xde, 0, 1, 0xa1, 'a', 0xc0),
  bytes(0xdf, 0, 0, 0, 1, 0xa1, 'a', 0x80),
  bytes(0x93, 0x01, 0x92, 0x80, 0x81, 0xa1, 'k', 0x91, 0x90, 0xc4, 1, 0xff),
  Buffer.from(encode({ ack: 'id', list: [1, 'x'.repeat(300), { a: [null, -1, 1.5, [[]], {}] }] })),
];
const STREAM = Buffer.concat(FRAMES);

/** The frames that come of `parts`, as hex. */
function read(parts: readonly Buffer[], maxBytes = MAX): string[] {
  const reader = new FrameReader(maxBytes);
  const frames = parts.flatMap((part) => [...reader.push(part)].map((frame) => frame.toString('hex')));
  // Nothing is left out between them.
  expect(Buffer.concat(parts).toString('hex').startsWith(frames.join(''))).toBe(true);
  return frames;
}

const EXPECTED = FRAMES.map((frame) => frame.toString('hex'));

describe('frames', () => {
  it.each(EXPECTED)('the frame reader returns a value of any MessagePack type as one frame: %s', (hex) => {
    expect(read([Buffer.from(hex, 'hex')])).toEqual([hex]);
  });

  it('the frame reader returns the same frames from whole data, single bytes and any two parts', () => {
    expect(read([STREAM])).toEqual(EXPECTED);
    expect(read([...STREAM].map((byte) => Buffer.of(byte)))).toEqual(EXPECTED);
    for (let at = 0; at <= STREAM.length; at++) {
      expect(read([STREAM.subarray(0, at), STREAM.subarray(at)])).toEqual(EXPECTED);
    }
  });

  it('the frame reader returns a frame as soon as its last byte arrives, not before', () => {
    for (const frame of FRAMES) {
      const reader = new FrameReader(MAX);
      for (const byte of frame.subarray(0, -1)) expect([...reader.push(Buffer.of(byte))]).toEqual([]);
      expect([...reader.push(frame.subarray(-1))]).toEqual([frame]);
      // And nothing of it is left.
      expect([...reader.push(frame)]).toEqual([frame]);
    }
  });

  it('the frame reader returns the frames that come before invalid data', () => {
    const frames: Buffer[] = [];
    expect(() => {
      for (const frame of new FrameReader(MAX).push(bytes(0x01, 0xa1, 'a', 0xc1))) frames.push(frame);
    }).toThrow(FrameError);
    expect(frames).toEqual([bytes(0x01), bytes(0xa1, 'a')]);
  });
});

describe('limits of frames', () => {
  it.each([
    ['a str of 100 MB', bytes(0xdb, 0x05, 0xf5, 0xe1, 0x00)],
    ['a bin of 4 GB', bytes(0xc6, 0xff, 0xff, 0xff, 0xff)],
    ['an ext of 4 GB', bytes(0xc9, 0xff, 0xff, 0xff, 0xff)],
    ['an array of 4 billion', bytes(0xdd, 0xff, 0xff, 0xff, 0xff)],
    ['a map of 4 billion', bytes(0xdf, 0xff, 0xff, 0xff, 0xff)],
    ['a map of 40,000 in 64 KiB', bytes(0xdf, 0, 0, 0x9c, 0x40)],
    ['a large str inside of a map', bytes(0x81, 0xa3, 'ack', 0xdb, 0x05, 0xf5, 0xe1, 0x00)],
  ])('the frame reader rejects a message that is too large when its size is announced: %s', (_, header) => {
    expect(() => read([header])).toThrow(new FrameError(`a message of more than ${MAX} bytes`));
    expect(() => read([...header].map((byte) => Buffer.of(byte)))).toThrow(FrameError);
    // One byte less, and there is no announcement yet.
    expect(read([header.subarray(0, -1)])).toEqual([]);
  });

  it('the frame reader applies its limit at the exact byte, for each message anew', () => {
    const str = (length: number): Buffer => bytes(0xda, length >> 8, length & 0xff, 'x'.repeat(length));
    const array = (length: number): Buffer => bytes(0xdc, length >> 8, length & 0xff, new Uint8Array(length));
    for (const make of [str, array]) {
      expect(read([make(997)], 1_000)).toHaveLength(1);
      expect(() => read([make(998)], 1_000)).toThrow(FrameError);
    }
    // Of many small values too, and for each message anew.
    const filled = (strings: number): Buffer => bytes(0xdc, 0, 10, ...new Array(10).fill(str(strings)));
    expect(read([filled(96), filled(96)], 3 + 10 * 99)).toHaveLength(2);
    expect(() => read([filled(96)], 3 + 10 * 99 - 1)).toThrow(FrameError);
  });

  it('the frame reader accepts 32 nested containers and rejects 33, however the bytes are split', () => {
    for (const container of [bytes(0x91), bytes(0xdc, 0, 1), bytes(0x81, 0xa1, 'k')]) {
      const nested = (depth: number): Buffer => bytes(...new Array(depth).fill(container), 0xc0);
      expect(read([nested(32)])).toHaveLength(1);
      expect(() => read([nested(33)])).toThrow(new FrameError('a message nested deeper than 32'));
      expect(() => read([...nested(33)].map((byte) => Buffer.of(byte)))).toThrow(FrameError);
    }
  });

  it('the frame reader rejects the byte 0xc1 at once', () => {
    expect(() => read([bytes(0xc1)])).toThrow(new FrameError('the byte 0xc1, which is no MessagePack'));
    expect(() => read([bytes(0x92, 0x01, 0xc1)])).toThrow(FrameError);
  });
});

describe('arbitrary bytes', () => {
  /** What a reader makes of `data`: its frames, and whether it refused the rest. */
  function outcome(data: Buffer, cuts: readonly number[]): { frames: string[]; refused: boolean } {
    const reader = new FrameReader(4_096);
    const frames: string[] = [];
    const ends = [...cuts.map((cut) => cut % (data.length + 1)).sort((a, b) => a - b), data.length];
    try {
      let start = 0;
      for (const end of ends) {
        for (const frame of reader.push(data.subarray(start, end))) frames.push(frame.toString('hex'));
        start = end;
      }
    } catch (error) {
      expect(error).toBeInstanceOf(FrameError);
      return { frames, refused: true };
    }
    return { frames, refused: false };
  }

  it('the frame reader reads or rejects any bytes in the same way, however they are split', () => {
    const random = fc.uint8Array({ maxLength: 300 }).map((data) => Buffer.from(data));
    // A flipped byte in a good stream gets further than noise does.
    const broken = fc.tuple(fc.nat(STREAM.length - 1), fc.nat(255)).map(([at, byte]) => {
      const copy = Buffer.from(STREAM);
      copy[at] = byte;
      return copy;
    });
    const property = fc.property(fc.oneof(random, broken), fc.array(fc.nat(), { maxLength: 8 }), (data, cuts) => {
      const whole = outcome(data, []);
      expect(outcome(data, cuts)).toEqual(whole);
      expect(data.toString('hex').startsWith(whole.frames.join(''))).toBe(true);
    });
    fc.assert(property, { seed: 1, numRuns: 3_000 });
  });
});
