import { type BufferPool, sizeClass } from './buffer-pool.ts';
import { Chunk, chunkId } from './chunk.ts';
import { messageOption, setPayloadBytes } from './message.ts';
import type { Writer } from './writer.ts';

/** A smaller buffer is not worth copying the message if it has more than this part of the size. */
const MAX_FITTING_PART = 0.75;

export interface SealOptions {
  readonly tag: string;
  /** The size of what the writer has written before the entries. */
  readonly prefixBytes: number;
  readonly entries: number;
  readonly records: number;
  readonly pool: BufferPool;
}

/** Makes a chunk of the entries that a writer has written. The chunk owns the writer's buffer from now on. */
export function seal(writer: Writer, { tag, prefixBytes, entries, records, pool }: SealOptions): Chunk {
  const id = chunkId();
  const payloadBytes = writer.position - prefixBytes;
  setPayloadBytes(writer.buffer, prefixBytes, payloadBytes);
  writer.limit = Number.MAX_SAFE_INTEGER;
  writer.raw(messageOption({ size: entries, chunk: id }));
  // A chunk keeps its buffer until the ack, so that a buffer that is much too large is replaced.
  const fitting = sizeClass(writer.position);
  if (fitting <= writer.buffer.length * MAX_FITTING_PART) writer.moveTo(pool.acquire(fitting));
  const { buffer, position: length } = writer;
  return new Chunk({ id, tag, records, entries, prefixBytes, payloadBytes, length, buffer, pool });
}
