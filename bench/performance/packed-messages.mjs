import { decode } from '@msgpack/msgpack';

const NOTHING = Buffer.alloc(0);

/**
 * Finds the options of PackedForward messages, `[tag, bin(entries), option]`, in a stream; entries are
 * passed over unseen. Knows what the bench's clients send, and fails at anything else.
 */
export class PackedMessages {
  #held = NOTHING;
  /** Bytes of the entries that are still to come. */
  #entries = 0;
  #isInOption = false;

  *push(data) {
    let at = 0;
    while (at < data.length) {
      if (this.#entries > 0) {
        const passed = Math.min(this.#entries, data.length - at);
        this.#entries -= passed;
        at += passed;
        continue;
      }
      const held = this.#held.length === 0 ? data.subarray(at) : Buffer.concat([this.#held, data.subarray(at)]);
      const end = this.#isInOption ? endOfOption(held) : this.#endOfHead(held);
      if (end > held.length) {
        this.#held = held;
        return;
      }
      if (this.#isInOption) yield decode(held.subarray(0, end));
      at += end - this.#held.length;
      this.#held = NOTHING;
      this.#isInOption = !this.#isInOption;
    }
  }

  /** Behind the header of the entries. */
  #endOfHead(held) {
    expect(held[0], 0x93);
    const bin = endOfValue(held, 1);
    const [bytes, header] = sizeOfBin(held, bin);
    if (bin + header <= held.length) this.#entries = bytes;
    return bin + header;
  }
}

function endOfOption(held) {
  expect(held[0] & 0xf0, 0x80);
  let at = 1;
  for (let values = 2 * (held[0] & 0x0f); values > 0; values--) at = endOfValue(held, at);
  return at;
}

/** Of a string or an unsigned number; beyond what is held when that is not all of it. */
function endOfValue(held, at) {
  const type = held[at];
  if (type === undefined) return at + 1;
  if (type < 0x80) return at + 1;
  if (type >= 0xa0 && type <= 0xbf) return at + 1 + (type & 0x1f);
  switch (type) {
    case 0xcc:
      return at + 2;
    case 0xcd:
      return at + 3;
    case 0xce:
      return at + 5;
    case 0xd9:
      return at + 2 + (held[at + 1] ?? 0);
    default:
      throw new Error(`no string and no number: 0x${type.toString(16)}`);
  }
}

/** Its bytes, and those of its header. */
function sizeOfBin(held, at) {
  const lengthBytes = { 196: 1, 197: 2, 198: 4 }[held[at] ?? 198];
  if (lengthBytes === undefined) throw new Error(`no bin: 0x${held[at].toString(16)}`);
  const header = 1 + lengthBytes;
  return [at + header <= held.length ? held.readUIntBE(at + 1, lengthBytes) : 0, header];
}

function expect(byte, expected) {
  if (byte !== expected) throw new Error(`not the message that was expected: 0x${byte.toString(16)}`);
}
