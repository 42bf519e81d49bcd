import { Encoder } from '@msgpack/msgpack';

/** The most bytes that a message may have. Fluent Bit closes the connection if it gets more than 6,144,000. */
export const MESSAGE_CEILING_BYTES = 6_000_000;

/** What stands behind the entries of a message. */
export interface MessageOption {
  /** How many entries there are. */
  readonly size: number;
  /** The id that the ack has to name. */
  readonly chunk: string;
  /** How the entries are compressed, where they are. */
  readonly compressed?: string;
}

/** The largest encoding of an option without `compressed`: a map of two, `size` with a 32-bit number, `chunk` with 24 characters. */
export const OPTION_BYTES: number = 1 + 5 + 5 + 6 + 25;
const BIN32 = 0xc6;
const LENGTH_BYTES = 4;

/** For all messages: each encoder comes with a buffer of 2 KiB. */
const encoder = new Encoder();

/** All that stands before a message's entries, with their length still to be set. */
export function messagePrefix(tag: string): Buffer {
  // Through a buffer, because a lone surrogate would leave `encode` as invalid UTF-8.
  const encodedTag = encoder.encode(Buffer.from(tag).toString());
  return Buffer.from([0x93, ...encodedTag, BIN32, 0, 0, 0, 0]);
}

/** Says in a message how many bytes its entries take. */
export function setPayloadBytes(message: Buffer, prefixBytes: number, payloadBytes: number): void {
  message.writeUInt32BE(payloadBytes, prefixBytes - LENGTH_BYTES);
}

export function messageOption(option: MessageOption): Uint8Array {
  return encoder.encode(option);
}
