import { Encoder } from '@msgpack/msgpack';

/** The most bytes that a message may have. Fluent Bit closes the connection if it gets more than 6,144,000. */
export const MESSAGE_CEILING_BYTES = 6_000_000;

/** The last part of a message, after its entries. */
export interface MessageOption {
  /** The number of entries. */
  readonly size: number;
  /** The id that the ack has to contain. */
  readonly chunk: string;
  /** How the entries are compressed; absent if they are not. */
  readonly compressed?: string;
}

/**
 * The largest encoding of an option without `compressed`: a map of two, `size` with a 32-bit number, `chunk` with 24
 * characters.
 */
export const OPTION_BYTES: number = 1 + 5 + 5 + 6 + 25;
const BIN32 = 0xc6;
const LENGTH_BYTES = 4;

/** Shared by all messages, because each encoder allocates a buffer of 2 KiB. */
const encoder = new Encoder();

/** The part of a message before its entries. Their length is still to be set. */
export function messagePrefix(tag: string): Buffer {
  // The buffer replaces lone surrogates, which `encode` would write as invalid UTF-8.
  const encodedTag = encoder.encode(Buffer.from(tag).toString());
  return Buffer.from([0x93, ...encodedTag, BIN32, 0, 0, 0, 0]);
}

/** Sets the length of the entries in the part of a message before them. */
export function setPayloadBytes(message: Buffer, prefixBytes: number, payloadBytes: number): void {
  message.writeUInt32BE(payloadBytes, prefixBytes - LENGTH_BYTES);
}

export function messageOption(option: MessageOption): Uint8Array {
  return encoder.encode(option);
}
