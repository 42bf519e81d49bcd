import type { BufferPool } from './buffer-pool.ts';

/** Thrown when a record takes more bytes than it may have. */
export class TooLargeError extends Error {
  override readonly name = 'TooLargeError';
}

/**
 * `utf8Write()` is not documented: `Buffer.write()` calls it. With `Buffer.write()`, whose checks take part of the
 * time of a short string, the encoding of a record takes 3 to 4 % longer (Node.js 20).
 */
interface NativeBuffer extends Buffer {
  utf8Write(text: string, offset: number): number;
}

/** The most bytes before the content of a string or container. */
const HEADER_BYTES = 5;
const BYTES_PER_CODE_UNIT = 3;
/** For strings up to this length, a loop over the characters is faster than a call into native code. */
const LOOP_LENGTH = 20;
/** For strings above this length, the exact size is computed before room is reserved, to not reserve too much. */
const EXACT_LENGTH = 4096;

/**
 * Writes MessagePack into a buffer that grows. All that it writes can be read by every Forward receiver: strings are
 * valid UTF-8, and the only ext is an entry's time.
 */
export class Writer {
  position = 0;
  /** The last position at which the current record may end. */
  limit: number = Number.MAX_SAFE_INTEGER;
  readonly #pool: BufferPool;
  #buffer: Buffer;
  /** A view of the same bytes. V8 compiles its methods inline, so that writing a number needs no call. */
  #view: DataView;

  constructor(pool: BufferPool, bytes: number) {
    this.#pool = pool;
    this.#buffer = pool.acquire(bytes);
    this.#view = viewOf(this.#buffer);
  }

  get buffer(): Buffer {
    return this.#buffer;
  }

  /** Continues at `position` of another buffer. The writer no longer owns the previous buffer. */
  continueIn(buffer: Buffer, position: number): void {
    this.#buffer = buffer;
    this.#view = viewOf(buffer);
    this.position = position;
  }

  /** Makes room for `bytes` more bytes. */
  reserve(bytes: number): void {
    if (this.position + bytes > this.#buffer.length) this.#grow(bytes);
  }

  #grow(bytes: number): void {
    const needed = this.position + bytes;
    if (needed > this.limit) throw new TooLargeError();
    this.moveTo(this.#pool.acquire(Math.max(needed, this.#buffer.length * 2)));
  }

  /** Copies the content into another buffer, and continues there. */
  moveTo(buffer: Buffer): void {
    this.#buffer.copy(buffer, 0, 0, this.position);
    this.#pool.release(this.#buffer);
    this.continueIn(buffer, this.position);
  }

  /** Copies bytes that are already MessagePack. */
  raw(bytes: Uint8Array): void {
    const { length } = bytes;
    if (length === 0) return;
    this.reserve(length);
    this.#buffer.set(bytes, this.position);
    this.position += length;
  }

  byte(value: number): void {
    this.reserve(1);
    this.#buffer[this.position++] = value;
  }

  nil(): void {
    this.byte(0xc0);
  }

  boolean(value: boolean): void {
    this.byte(value ? 0xc3 : 0xc2);
  }

  /** Writes integers up to 2^53 as integers, and all other numbers as float64. −0 becomes 0. */
  number(value: number): void {
    if (!Number.isSafeInteger(value)) {
      this.float64(value);
    } else if (value >= 0) {
      this.#unsigned(value);
    } else {
      this.#negative(value);
    }
  }

  float64(value: number): void {
    this.#type(0xcb, 9);
    this.#view.setFloat64(this.position - 8, value);
  }

  /** Writes an unsigned integer with 64 bits, from two halves of 32 bits. */
  uint64(high: number, low: number): void {
    this.#type(0xcf, 9);
    this.#view.setUint32(this.position - 8, high);
    this.#view.setUint32(this.position - 4, low);
  }

  #unsigned(value: number): void {
    if (value < 0x80) {
      this.byte(value);
    } else if (value < 0x100) {
      this.#type(0xcc, 2);
      this.#buffer[this.position - 1] = value;
    } else if (value < 0x1_0000) {
      this.#type(0xcd, 3);
      this.#view.setUint16(this.position - 2, value);
    } else if (value < 0x1_0000_0000) {
      this.#type(0xce, 5);
      this.#view.setUint32(this.position - 4, value);
    } else {
      this.uint64(Math.floor(value / 0x1_0000_0000), value % 0x1_0000_0000);
    }
  }

  /** Writes the byte of a type. Moves the position behind the value; type and value take `bytes`. */
  #type(byte: number, bytes: number): void {
    this.reserve(bytes);
    this.#buffer[this.position] = byte;
    this.position += bytes;
  }

  #negative(value: number): void {
    if (value >= -0x20) {
      this.byte(value + 0x100);
    } else if (value >= -0x80) {
      this.#type(0xd0, 2);
      this.#view.setInt8(this.position - 1, value);
    } else if (value >= -0x8000) {
      this.#type(0xd1, 3);
      this.#view.setInt16(this.position - 2, value);
    } else if (value >= -0x8000_0000) {
      this.#type(0xd2, 5);
      this.#view.setInt32(this.position - 4, value);
    } else {
      this.#type(0xd3, 9);
      const high = Math.floor(value / 0x1_0000_0000);
      this.#view.setInt32(this.position - 8, high);
      this.#view.setUint32(this.position - 4, value - high * 0x1_0000_0000);
    }
  }

  /** An integer between −2^63 and 2^63 − 1. */
  bigint(value: bigint): void {
    this.#type(value < 0n ? 0xd3 : 0xcf, 9);
    this.#view.setBigInt64(this.position - 8, value);
  }

  /** Writes a string as UTF-8. A lone surrogate becomes U+FFFD. Returns whether all characters are ASCII. */
  string(value: string): boolean {
    const { length } = value;
    const room = length > EXACT_LENGTH ? Buffer.byteLength(value) : length * BYTES_PER_CODE_UNIT;
    this.reserve(HEADER_BYTES + room);
    if (length <= LOOP_LENGTH && this.#shortAscii(value)) return true;
    // Leaves room for the header of an ASCII string. If another string needs a longer header, its content is moved.
    const guess = stringHeaderBytes(length);
    const start = this.position + guess;
    const bytes = (this.#buffer as NativeBuffer).utf8Write(value, start);
    const header = stringHeaderBytes(bytes);
    if (header !== guess) this.#buffer.copyWithin(this.position + header, start, start + bytes);
    this.#stringHeader(header, bytes);
    this.position += header + bytes;
    return bytes === length;
  }

  /** Writes a string of at most 31 characters. Returns false, with nothing written, if one is not ASCII. */
  #shortAscii(value: string): boolean {
    const buffer = this.#buffer;
    const view = this.#view;
    const { position } = this;
    const { length } = value;
    const start = position + 1;
    let i = 0;
    for (; i + 4 <= length; i += 4) {
      const word = fourCharacters(value, i);
      if (word < 0) return false;
      view.setInt32(start + i, word);
    }
    for (; i < length; i++) {
      const code = value.charCodeAt(i);
      if (code > 0x7f) return false;
      buffer[start + i] = code;
    }
    buffer[position] = 0xa0 | length;
    this.position = start + length;
    return true;
  }

  #stringHeader(header: number, bytes: number): void {
    const { buffer, position } = this;
    switch (header) {
      case 1:
        buffer[position] = 0xa0 | bytes;
        break;
      case 2:
        buffer[position] = 0xd9;
        buffer[position + 1] = bytes;
        break;
      case 3:
        buffer[position] = 0xda;
        this.#view.setUint16(position + 1, bytes);
        break;
      default:
        buffer[position] = 0xdb;
        this.#view.setUint32(position + 1, bytes);
    }
  }

  /** Writes at least one byte as bin. Outputs that write JSON cannot represent bin. */
  bin(bytes: Uint8Array): void {
    const { length } = bytes;
    if (length < 0x100) {
      this.#type(0xc4, 2);
      this.#buffer[this.position - 1] = length;
    } else if (length < 0x1_0000) {
      this.#type(0xc5, 3);
      this.#view.setUint16(this.position - 2, length);
    } else {
      this.#type(0xc6, 5);
      this.#view.setUint32(this.position - 4, length);
    }
    this.raw(bytes);
  }

  arrayHeader(length: number): void {
    if (length < 16) {
      this.byte(0x90 | length);
    } else if (length < 0x1_0000) {
      this.#type(0xdc, 3);
      this.#view.setUint16(this.position - 2, length);
    } else {
      this.#type(0xdd, 5);
      this.#view.setUint32(this.position - 4, length);
    }
  }

  /** Starts a map whose size is not known yet. Returns the `start` for {@link endMap}. */
  startMap(): number {
    const start = this.position;
    this.byte(0x80);
    return start;
  }

  /** Ends the map that was started at `start`, and writes its size. */
  endMap(start: number, size: number): void {
    if (size < 16) {
      this.#buffer[start] = 0x80 | size;
      return;
    }
    const extra = size < 0x1_0000 ? 2 : 4;
    this.reserve(extra);
    this.#buffer.copyWithin(start + 1 + extra, start + 1, this.position);
    this.position += extra;
    this.#buffer[start] = extra === 2 ? 0xde : 0xdf;
    if (extra === 2) this.#view.setUint16(start + 1, size);
    else this.#view.setUint32(start + 1, size);
  }

  /**
   * Writes an entry's time: ext type 0 with unsigned 32-bit seconds and nanoseconds, as fixext8, which all receivers
   * read.
   */
  eventTime(seconds: number, nanoseconds: number): void {
    this.#type(0xd7, 10);
    const { position } = this;
    this.#buffer[position - 9] = 0x00;
    this.#view.setUint32(position - 8, seconds);
    this.#view.setUint32(position - 4, nanoseconds);
  }
}

function viewOf({ buffer, byteOffset, byteLength }: Buffer): DataView {
  return new DataView(buffer, byteOffset, byteLength);
}

/**
 * Returns four ASCII characters of `text`, from index `at`, as the bytes of a number. It is negative if one is not
 * ASCII.
 */
function fourCharacters(text: string, at: number): number {
  const a = text.charCodeAt(at);
  const b = text.charCodeAt(at + 1);
  const c = text.charCodeAt(at + 2);
  const d = text.charCodeAt(at + 3);
  return (a | b | c | d) > 0x7f ? -1 : (a << 24) | (b << 16) | (c << 8) | d;
}

function stringHeaderBytes(bytes: number): number {
  if (bytes < 32) return 1;
  if (bytes < 0x100) return 2;
  return bytes < 0x1_0000 ? 3 : 5;
}
