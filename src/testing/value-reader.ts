/** An extension value of type 0 and 8 bytes: how the Forward protocol writes a time with nanoseconds. */
export class EventTime {
  readonly seconds: number;
  readonly nanoseconds: number;

  constructor(data: Buffer) {
    this.seconds = data.readUInt32BE(0);
    this.nanoseconds = data.readUInt32BE(4);
  }
}

/** How deep containers may be nested. Fluentd reads 128 levels, and Forward mode puts three around a record. */
export const MAX_DEPTH = 131;

/** More than the bytes of the largest message that Fluent Bit takes. An object takes 60 times the memory of its byte. */
const MAX_VALUES = 8 * 1024 * 1024;

/**
 * Reads MessagePack values as real receivers do: every map key is taken, and str need not be UTF-8. The decoder of
 * `@msgpack/msgpack` refuses keys such as `__proto__`, more of them in later versions, and joins or drops
 * characters of text that is not UTF-8 or begins with U+FEFF.
 */
export class ValueReader {
  readonly #bytes: Buffer;
  readonly #isRaw: boolean;
  #position = 0;
  #depth = 0;
  #count = 0;

  /** With `rawStrings` str values are returned as bytes. */
  constructor(bytes: Uint8Array, { rawStrings = false }: { rawStrings?: boolean } = {}) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#isRaw = rawStrings;
  }

  get isAtEnd(): boolean {
    return this.#position === this.#bytes.length;
  }

  /**
   * Returns the next value. 64-bit integers that a number cannot hold are bigints, bin values are views of the bytes.
   * @throws Error if the bytes are no MessagePack, end too early, or hold too many values.
   */
  read(): unknown {
    if (++this.#count > MAX_VALUES) throw new Error(`more than ${MAX_VALUES} values`);
    const type = this.#bytes.readUInt8(this.#advance(1));
    if (type <= 0x7f) return type;
    if (type <= 0x8f) return this.#map(type & 0x0f);
    if (type <= 0x9f) return this.#array(type & 0x0f);
    if (type <= 0xbf) return this.#str(type & 0x1f);
    if (type >= 0xe0) return type - 0x100;
    switch (type) {
      case 0xc0:
        return null;
      case 0xc2:
        return false;
      case 0xc3:
        return true;
      case 0xc4:
      case 0xc5:
      case 0xc6:
        return this.#bin(this.#length(type - 0xc4));
      case 0xc7:
      case 0xc8:
      case 0xc9:
        return this.#extension(this.#length(type - 0xc7));
      case 0xca:
        return this.#bytes.readFloatBE(this.#advance(4));
      case 0xcb:
        return this.#bytes.readDoubleBE(this.#advance(8));
      case 0xcc:
      case 0xcd:
      case 0xce:
        return this.#length(type - 0xcc);
      case 0xcf:
        return exact(this.#bytes.readBigUInt64BE(this.#advance(8)));
      case 0xd0:
        return this.#bytes.readInt8(this.#advance(1));
      case 0xd1:
        return this.#bytes.readInt16BE(this.#advance(2));
      case 0xd2:
        return this.#bytes.readInt32BE(this.#advance(4));
      case 0xd3:
        return exact(this.#bytes.readBigInt64BE(this.#advance(8)));
      case 0xd4:
      case 0xd5:
      case 0xd6:
      case 0xd7:
      case 0xd8:
        return this.#extension(2 ** (type - 0xd4));
      case 0xd9:
      case 0xda:
      case 0xdb:
        return this.#str(this.#length(type - 0xd9));
      case 0xdc:
      case 0xdd:
        return this.#array(this.#length(type - 0xdb));
      case 0xde:
      case 0xdf:
        return this.#map(this.#length(type - 0xdd));
      default:
        throw new Error(`the byte 0x${type.toString(16)} is no MessagePack`);
    }
  }

  /** Moves on by `length` bytes, and returns where they begin. */
  #advance(length: number): number {
    const start = this.#position;
    if (start + length > this.#bytes.length) throw new Error('the bytes end within a value');
    this.#position = start + length;
    return start;
  }

  /** An unsigned integer of 1, 2 or 4 bytes, for the exponents 0, 1 and 2. */
  #length(exponent: number): number {
    const bytes = 2 ** exponent;
    return this.#bytes.readUIntBE(this.#advance(bytes), bytes);
  }

  #bin(length: number): Buffer {
    const start = this.#advance(length);
    return this.#bytes.subarray(start, start + length);
  }

  #str(length: number): string | Buffer {
    if (this.#isRaw) return this.#bin(length);
    const start = this.#advance(length);
    return this.#bytes.toString('utf8', start, start + length);
  }

  #extension(length: number): unknown {
    const type = this.#bytes.readInt8(this.#advance(1));
    const data = this.#bin(length);
    return type === 0 && length === 8 ? new EventTime(data) : { type, data };
  }

  #array(count: number): unknown[] {
    const items: unknown[] = [];
    this.#descend();
    for (let i = 0; i < count; i++) items.push(this.read());
    this.#depth--;
    return items;
  }

  #map(count: number): Record<string, unknown> {
    const entries: [string, unknown][] = [];
    this.#descend();
    for (let i = 0; i < count; i++) entries.push([this.#key(), this.read()]);
    this.#depth--;
    // Makes own properties of all keys, where an assignment to `__proto__` would set the prototype.
    return Object.fromEntries(entries);
  }

  #key(): string {
    const key = this.read();
    if (typeof key === 'object' && key !== null && !Buffer.isBuffer(key)) {
      throw new Error('the key of a map is a container or an extension value');
    }
    return String(key);
  }

  #descend(): void {
    if (++this.#depth > MAX_DEPTH) throw new Error(`a value is nested deeper than ${MAX_DEPTH}`);
  }
}

function exact(integer: bigint): number | bigint {
  const number = Number(integer);
  return Number.isSafeInteger(number) ? number : integer;
}
