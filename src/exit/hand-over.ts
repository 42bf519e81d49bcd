import type { MessagePort } from 'node:worker_threads';
import type { Chunk } from '../encode/chunk.ts';
import type { Acks } from './acks.ts';
import type { PlainConfig } from './plain-config.ts';

/** A chunk as another thread can get it. */
export interface PlainChunk {
  readonly id: string;
  readonly tag: string;
  readonly records: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** A copy without the unused part of the buffer, so that its memory can be moved to another thread. */
export function plainChunk({ id, tag, records, bytes }: Chunk): PlainChunk {
  return { id, tag, records, bytes: new Uint8Array(bytes) };
}

/** The chunks of one pipeline, which the worker thread brings to their acks. */
export interface HandOver {
  readonly config: PlainConfig;
  readonly chunks: readonly PlainChunk[];
}

/** What the main thread sends to the worker thread. */
export interface Order {
  readonly handOvers: readonly HandOver[];
  /** The memory of {@link Acks}, with a place for each chunk, in the order of the hand-overs. */
  readonly acks: SharedArrayBuffer;
}

/** What the worker thread sends to the main thread: the last fault of a hand-over. */
export interface Fault {
  /** The index of the hand-over. */
  readonly handOver: number;
  readonly message: string;
}

/** `workerData` of the worker thread. */
export interface ExitWorkerData {
  readonly port: MessagePort;
}
