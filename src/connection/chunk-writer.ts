import type { Socket } from 'node:net';
import { nextTick } from '../clock.ts';
import type { Chunk } from '../encode/chunk.ts';

/**
 * The size of one write. Node.js reports a write when all of it has left, so progress within a larger chunk becomes
 * visible. Smaller writes cost more: sending a megabyte takes 0.7 ms of CPU time in one write, 1.1 ms in writes of
 * 128 KiB, 1.2 ms in writes of 64 KiB.
 */
const MAX_WRITE_BYTES = 131_072;

/** The operating system has taken bytes of the chunk; `isWhole`: all that were left. */
export type OnWrote = (chunk: Chunk, isWhole: boolean) => void;

/** A chunk of which bytes are left to write. */
interface Unwritten {
  readonly chunk: Chunk;
  /** How many of its bytes were passed to the socket. */
  begun: number;
}

/** Writes chunks to a socket in their order, one write at a time. A chunk that no write has begun can be taken back. */
export class ChunkWriter {
  readonly #socket: Socket;
  readonly #onWrote: OnWrote;
  readonly #queue: Unwritten[] = [];
  #isScheduled = false;
  #isWriting = false;
  #isEnded = false;

  constructor(socket: Socket, onWrote: OnWrote) {
    this.#socket = socket;
    this.#onWrote = onWrote;
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

  /** Writes nothing more. The socket holds the bytes of its last write until it has written them or is destroyed. */
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
      // The socket reads the buffer until it calls back, even if the chunk is settled meanwhile.
      chunk.retain();
      const isLast = i === pieces.length - 1;
      this.#socket.write(chunk.bytes.subarray(from, to), (error) => {
        // After an error the socket itself reports that it is lost.
        if (!error) this.#wrote(chunk, to === chunk.bytes.length);
        chunk.release();
        if (isLast && !error) this.#writeNext();
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
    this.#onWrote(chunk, isWhole);
  }

  #writeNext(): void {
    this.#isWriting = false;
    this.#write();
  }
}
