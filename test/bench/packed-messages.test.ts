import { encode } from '@msgpack/msgpack';
import { describe, expect, it } from 'vitest';
import { PackedMessages } from '../../bench/performance/packed-messages.mjs';

/** Options as the bench's clients send them, behind entries of each size of bin. */
const OPTIONS = [
  { size: 1, chunk: 'a'.repeat(24) },
  { chunk: 'b'.repeat(40), size: 300 },
  { chunk: 'c', size: 70_000, compressed: 'text', eventEntryDataSize: 4_000_000_000 },
];
const stream = Buffer.concat(
  OPTIONS.map((option, i) =>
    encode(['a tag'.repeat(1 + 9 * i), new Uint8Array([3, 300, 70_000][i] as number), option]),
  ),
);

describe('PackedMessages', () => {
  it('PackedMessages returns the option of each message wherever the stream is split', () => {
    // Everywhere but within the largest entries, which are all alike.
    const splits = Array.from({ length: stream.length }, (_, at) => at).filter((at) => at < 700 || at > 70_300);
    for (const at of splits) {
      const messages = new PackedMessages();
      const found = [stream.subarray(0, at), stream.subarray(at)].flatMap((data) => [...messages.push(data)]);
      expect(found).toEqual(OPTIONS);
    }
  });

  it('PackedMessages returns the option of each message if the stream comes byte by byte', () => {
    const messages = new PackedMessages();
    expect([...stream].flatMap((byte) => [...messages.push(Buffer.of(byte))])).toEqual(OPTIONS);
  });

  it.each([
    ['a message that is no array of three', encode(['tag', new Uint8Array(1)])],
    ['entries that are no bin', encode(['tag', [], {}])],
    ['an option that is no map', encode(['tag', new Uint8Array(1), 1])],
    ['a value of another kind', encode(['tag', new Uint8Array(1), { chunk: null }])],
  ])('PackedMessages throws if the stream contains %s', (_, bytes) => {
    expect(() => [...new PackedMessages().push(Buffer.from(bytes))]).toThrow();
  });
});
