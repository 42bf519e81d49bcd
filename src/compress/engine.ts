import type { Transform } from 'node:stream';

/** Compresses one buffer after the other, each into a whole member or frame, on a thread of its own. */
export interface Engine {
  /** Rejects when it is broken, and then for good. The result is read before the next call. */
  compress(bytes: Uint8Array): Promise<Buffer>;
  close(): void;
}

/** How to make a stream of `node:zlib` for a {@link StreamEngine}. */
export const STREAM_OPTIONS: { readonly chunkSize: number; readonly readableHighWaterMark: number } = {
  // What comes of a batch of 512 records fits in.
  chunkSize: 128 * 1024,
  // All of a result waits to be read at once.
  readableHighWaterMark: Number.MAX_SAFE_INTEGER,
};

/** Those of gzip have it too, which their types leave out. */
type Resettable = Transform & { reset(): void };

/**
 * A stream that ends a member or frame with each write, and is reset for the next. To set one up costs several
 * times what its use costs the main thread.
 */
export class StreamEngine implements Engine {
  readonly #stream: Resettable;
  #reject: (error: Error) => void = () => {};

  constructor(stream: Transform) {
    this.#stream = stream as Resettable;
    // A write that fails is told here only.
    stream.on('error', (error) => this.#reject(error));
  }

  compress(bytes: Uint8Array): Promise<Buffer> {
    const stream = this.#stream;
    return new Promise((resolve, reject) => {
      this.#reject = reject;
      stream.write(bytes, (error) => {
        if (error || stream.destroyed) {
          reject(error ?? new Error('closed'));
          return;
        }
        // What is thrown in an event of the stream would end the process: there may be no memory left for the result.
        try {
          const result = this.#result();
          stream.reset();
          if (result.length > 0) resolve(result);
          else reject(new Error('no output'));
        } catch (fault) {
          reject(fault);
        }
      });
    });
  }

  /** All that the stream has written. Up to Node.js 24 one `read()` returns it, from 26 on each returns one buffer. */
  #result(): Buffer {
    const parts: Buffer[] = [];
    for (let part = this.#stream.read(); part !== null; part = this.#stream.read()) parts.push(part);
    return parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts);
  }

  close(): void {
    this.#stream.destroy();
  }
}
