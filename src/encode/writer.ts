import type { BufferPool } from './buffer-pool.ts';

/** Thrown when a record outgrows the room it may have. */
export class TooLargeError extends Error {
  override readonly name = 'TooLargeError';
}

/** What `Buffer.write()` calls: without its checks, which cost as much as the writing of a short string. */
interface NativeBuffer extends Buffer {
  utf8Write(text: string, offset: number): number;
}

/** At most this many bytes stand before a string's or container's content. */
const HEADER_BYTES = 5;
const BYTES_PER_CODE_UNIT = 3;
/** Up to this length a loop over the characters is faster than the call into native code. */
const LOOP_LENGTH = 12;
/** Above this length a string's exact size is worth computing before room is made for it. */
const EXACT_LENGTH = 4096;

/**
 * Writes MessagePack into a buffer that grows. Strings are valid UTF-8, and there is no method for an
 * ext other than an entry's time: nothing it writes is poison to a Forward receiver.
 */
export class Writer {
  buffer: Buffer;
  position = 0;
  /** Where the record being written must end at the latest. */
  limit: number = Number.MAX_SAFE_INTEGER;
  readonly #pool: BufferPool;

  constructor(pool: BufferPool, bytes: number) {
    this.#pool = pool;
    this.buffer = pool.acquire(bytes);
  }

  /** Makes room for `bytes` more. */
  reserve(bytes: number): void {
    if (this.position + bytes > this.buffer.length) this.#grow(bytes);
  }

  #grow(bytes: number): void {
    const needed = this.position + bytes;
    if (needed > this.limit) throw new TooLargeError();
    this.moveTo(this.#pool.acquire(Math.max(needed, this.buffer.length * 2)));
  }

  /** Continues in another buffer, which takes over what is written so far. */
  moveTo(buffer: Buffer): void {
    this.buffer.copy(buffer, 0, 0, this.position);
    this.#pool.release(this.buffer);
    this.buffer = buffer;
  }

  /** Copies bytes that are MessagePack already. */
  raw(bytes: Uint8Array): void {
    const length = bytes.length;
    this.reserve(length);
    if (length <= 32) {
      const { buffer, position } = this;
      for (let i = 0; i < length; i++) buffer[position + i] = bytes[i] as number;
    } else {
      this.buffer.set(bytes, this.position);
    }
    this.position += length;
  }

  byte(value: number): void {
    this.reserve(1);
    this.buffer[this.position++] = value;
  }

  nil(): void {
    this.byte(0xc0);
  }

  boolean(value: boolean): void {
    this.byte(value ? 0xc3 : 0xc2);
  }

  /** A finite or infinite number: integers up to 2^53 as integers, all others as float64. −0 becomes 0. */
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
    this.reserve(9);
    this.buffer[this.position] = 0xcb;
    this.buffer.writeDoubleBE(value, this.position + 1);
    this.position += 9;
  }

  /** An unsigned integer in all its 64 bits, given as two halves of 32. */
  uint64(high: number, low: number): void {
    this.reserve(9);
    const { buffer, position } = this;
    buffer[position] = 0xcf;
    buffer.writeUInt32BE(high, position + 1);
    buffer.writeUInt32BE(low, position + 5);
    this.position = position + 9;
  }

  #unsigned(value: number): void {
    this.reserve(9);
    const { buffer } = this;
    let at = this.position;
    if (value < 0x80) {
      buffer[at++] = value;
    } else if (value < 0x100) {
      buffer[at++] = 0xcc;
      buffer[at++] = value;
    } else if (value < 0x1_0000) {
      buffer[at++] = 0xcd;
      at = buffer.writeUInt16BE(value, at);
    } else if (value < 0x1_0000_0000) {
      buffer[at++] = 0xce;
      at = buffer.writeUInt32BE(value, at);
    } else {
      buffer[at++] = 0xcf;
      at = buffer.writeUInt32BE(Math.floor(value / 0x1_0000_0000), at);
      at = buffer.writeUInt32BE(value % 0x1_0000_0000, at);
    }
    this.position = at;
  }

  #negative(value: number): void {
    this.reserve(9);
    const { buffer } = this;
    let at = this.position;
    if (value >= -0x20) {
      buffer[at++] = value + 0x100;
    } else if (value >= -0x80) {
      buffer[at++] = 0xd0;
      buffer[at++] = value + 0x100;
    } else if (value >= -0x8000) {
      buffer[at++] = 0xd1;
      at = buffer.writeInt16BE(value, at);
    } else if (value >= -0x8000_0000) {
      buffer[at++] = 0xd2;
      at = buffer.writeInt32BE(value, at);
    } else {
      buffer[at++] = 0xd3;
      at = buffer.writeInt32BE(Math.floor(value / 0x1_0000_0000), at);
      at = buffer.writeUInt32BE(value - Math.floor(value / 0x1_0000_0000) * 0x1_0000_0000, at);
    }
    this.position = at;
  }

  /** An integer between −2^63 and 2^64 − 1. */
  bigint(value: bigint): void {
    this.reserve(9);
    const negative = value < 0n;
    this.buffer[this.position] = negative ? 0xd3 : 0xcf;
    if (negative) this.buffer.writeBigInt64BE(value, this.position + 1);
    else this.buffer.writeBigUInt64BE(value, this.position + 1);
    this.position += 9;
  }

  /** A string as UTF-8; a lone surrogate becomes U+FFFD. Tells whether it is all ASCII. */
  string(value: string): boolean {
    const { length } = value;
    const room = length > EXACT_LENGTH ? Buffer.byteLength(value) : length * BYTES_PER_CODE_UNIT;
    this.reserve(HEADER_BYTES + room);
    if (length <= LOOP_LENGTH && this.#shortAscii(value)) return true;
    // The header is as long as an ASCII string's would be; the few others are moved.
    const guess = stringHeaderBytes(length);
    const start = this.position + guess;
    const bytes = (this.buffer as NativeBuffer).utf8Write(value, start);
    const header = stringHeaderBytes(bytes);
    if (header !== guess) this.buffer.copyWithin(this.position + header, start, start + bytes);
    this.#stringHeader(header, bytes);
    this.position += header + bytes;
    return bytes === length;
  }

  /** Writes a string of at most 12 ASCII characters; false, with nothing written, for any other. */
  #shortAscii(value: string): boolean {
    const { buffer, position } = this;
    const { length } = value;
    for (let i = 0; i < length; i++) {
      const code = value.charCodeAt(i);
      if (code > 0x7f) return false;
      buffer[position + 1 + i] = code;
    }
    buffer[position] = 0xa0 | length;
    this.position = position + 1 + length;
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
        buffer.writeUInt16BE(bytes, position + 1);
        break;
      default:
        buffer[position] = 0xdb;
        buffer.writeUInt32BE(bytes, position + 1);
    }
  }

  /** Bytes as they are. JSON outputs cannot write them. */
  bin(bytes: Uint8Array): void {
    const { length } = bytes;
    this.reserve(HEADER_BYTES + length);
    const { buffer } = this;
    let at = this.position;
    if (length < 0x100) {
      buffer[at++] = 0xc4;
      buffer[at++] = length;
    } else if (length < 0x1_0000) {
      buffer[at++] = 0xc5;
      at = buffer.writeUInt16BE(length, at);
    } else {
      buffer[at++] = 0xc6;
      at = buffer.writeUInt32BE(length, at);
    }
    buffer.set(bytes, at);
    this.position = at + length;
  }

  arrayHeader(length: number): void {
    this.reserve(HEADER_BYTES);
    const { buffer } = this;
    if (length < 16) {
      buffer[this.position++] = 0x90 | length;
    } else if (length < 0x1_0000) {
      buffer[this.position] = 0xdc;
      this.position = buffer.writeUInt16BE(length, this.position + 1);
    } else {
      buffer[this.position] = 0xdd;
      this.position = buffer.writeUInt32BE(length, this.position + 1);
    }
  }

  /** Starts a map whose size is not known yet; returns what {@link endMap} needs. */
  startMap(): number {
    const start = this.position;
    this.byte(0x80);
    return start;
  }

  /** Writes the size of the map that was started at `start`. */
  endMap(start: number, size: number): void {
    if (size < 16) {
      this.buffer[start] = 0x80 | size;
      return;
    }
    const extra = size < 0x1_0000 ? 2 : 4;
    this.reserve(extra);
    this.buffer.copyWithin(start + 1 + extra, start + 1, this.position);
    this.position += extra;
    this.buffer[start] = extra === 2 ? 0xde : 0xdf;
    if (extra === 2) this.buffer.writeUInt16BE(size, start + 1);
    else this.buffer.writeUInt32BE(size, start + 1);
  }

  /** An entry's time: ext type 0 with unsigned 32-bit seconds and nanoseconds, as fixext8, which all receivers read. */
  eventTime(seconds: number, nanoseconds: number): void {
    this.reserve(10);
    const { buffer, position } = this;
    buffer[position] = 0xd7;
    buffer[position + 1] = 0x00;
    buffer.writeUInt32BE(seconds, position + 2);
    buffer.writeUInt32BE(nanoseconds, position + 6);
    this.position = position + 10;
  }
}

function stringHeaderBytes(bytes: number): number {
  if (bytes < 32) return 1;
  if (bytes < 0x100) return 2;
  return bytes < 0x1_0000 ? 3 : 5;
}
