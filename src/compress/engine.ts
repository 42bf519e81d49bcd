import type { Transform } from 'node:stream';

/** Compresses one buffer at a time into a complete member or frame, on a thread. */
export interface Engine {
  /** Rejects if the engine is broken; all later calls reject too. The caller reads the result before the next call. */
  compress(bytes: Uint8Array): Promise<Buffer>;
  close(): void;
}

/** Options of the stream of `node:zlib` in a {@link StreamEngine}. */
export const STREAM_OPTIONS: { readonly chunkSize: number; readonly readableHighWaterMark: number } = {
  // A compressed batch of 512 records fits into one buffer of this size.
  chunkSize: 128 * 1024,
  // The stream never waits for a reader: the whole result is read at the end.
  readableHighWaterMark: Number.MAX_SAFE_INTEGER,
};

/** The streams of gzip also have `reset()`, although their types do not. */
type Resettable = Transform & { reset(): void };

/**
 * A stream that ends a member or frame with each write, and is reset for the next write. It is reused because, for the
 * main thread, creating a stream costs several times as much as using it.
 */
export class StreamEngine implements Engine {
  readonly #stream: Resettable;
  #reject: (error: Error) => void = () => {};

  constructor(stream: Transform) {
    this.#stream = stream as Resettable;
    // The error of a failed write arrives only here.
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
        // Reading can throw, for example if there is no memory for the result. Here this would end the process.
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

  /** All output of the stream. Up to Node.js 24 one `read()` returns it all; from 26 on each returns one buffer. */
  #result(): Buffer {
    const parts: Buffer[] = [];
    for (let part = this.#stream.read(); part !== null; part = this.#stream.read()) parts.push(part);
    return parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts);
  }

  close(): void {
    this.#stream.destroy();
  }
}
