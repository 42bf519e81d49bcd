import type { Socket } from 'node:net';
import { nextTick } from '../clock.ts';
import type { Chunk } from '../encode/chunk.ts';

/**
 * As much as one write takes: what leaves in the middle of a larger chunk is seen. Smaller writes cost more: sending a
 * megabyte takes 0.7 ms of CPU time in one write, 1.1 ms in these, 1.2 ms in writes of 64 KiB.
 */
const MAX_WRITE_BYTES = 131_072;

export interface ChunkWriterObserver {
  /** The operating system has taken bytes of the chunk; `isWhole`: all that were left. */
  wrote(chunk: Chunk, isWhole: boolean): void;
}

/** A chunk that is not written as a whole. */
interface Unwritten {
  readonly chunk: Chunk;
  /** How many of its bytes were given to the socket. */
  begun: number;
}

/**
 * Writes chunks to a socket in their order, one write at a time. Node.js reports a write only when all of it has left,
 * so a large chunk is written in pieces. A chunk that no write has begun can be taken back.
 */
export class ChunkWriter {
  readonly #socket: Socket;
  readonly #observer: ChunkWriterObserver;
  readonly #queue: Unwritten[] = [];
  #isScheduled = false;
  #isWriting = false;
  #isEnded = false;

  constructor(socket: Socket, observer: ChunkWriterObserver) {
    this.#socket = socket;
    this.#observer = observer;
  }

  /** Whether there are bytes that the operating system has not taken. */
  get isBusy(): boolean {
    return this.#queue.length > 0;
  }

  /** Whether a chunk is written in part. */
  get isWithinChunk(): boolean {
    return (this.#queue[0]?.begun ?? 0) > 0;
  }

  /** Writes the chunk. Chunks that are added in one turn leave in one write, as far as they fit. */
  add(chunk: Chunk): void {
    chunk.retain();
    this.#queue.push({ chunk, begun: 0 });
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    nextTick(() => {
      this.#isScheduled = false;
      this.#write();
    });
  }

  /** Takes the chunk back if no write has begun it. Returns whether it did. */
  remove(chunk: Chunk): boolean {
    const index = this.#queue.findIndex((unwritten) => unwritten.chunk === chunk && unwritten.begun === 0);
    if (index === -1) return false;
    this.#queue.splice(index, 1);
    chunk.release();
    return true;
  }

  /** Writes nothing more. The socket still holds what it was given, until it has written it or is destroyed. */
  end(): void {
    this.#isEnded = true;
    for (const { chunk } of this.#queue.splice(0)) chunk.release();
  }

  #write(): void {
    if (this.#isWriting || this.#queue.length === 0) return;
    this.#isWriting = true;
    const pieces = this.#nextPieces();
    this.#socket.cork();
    for (const [i, { chunk, from, to }] of pieces.entries()) {
      // The socket reads the buffer until it calls back, whatever becomes of the chunk.
      chunk.retain();
      const isLast = i === pieces.length - 1;
      this.#socket.write(chunk.bytes.subarray(from, to), (error) => {
        // After an error the socket is lost, which it reports itself.
        if (!error) this.#wrote(chunk, to === chunk.bytes.length);
        chunk.release();
        if (isLast && !error) this.#goOn();
      });
    }
    this.#socket.uncork();
  }

  #nextPieces(): { readonly chunk: Chunk; readonly from: number; readonly to: number }[] {
    const pieces = [];
    let room = MAX_WRITE_BYTES;
    for (const unwritten of this.#queue) {
      if (room === 0) break;
      const { chunk, begun: from } = unwritten;
      const to = Math.min(chunk.bytes.length, from + room);
      unwritten.begun = to;
      room -= to - from;
      pieces.push({ chunk, from, to });
    }
    return pieces;
  }

  #wrote(chunk: Chunk, isWhole: boolean): void {
    if (this.#isEnded) return;
    if (isWhole) {
      this.#queue.shift();
      chunk.release();
    }
    this.#observer.wrote(chunk, isWhole);
  }

  #goOn(): void {
    this.#isWriting = false;
    this.#write();
  }
}
