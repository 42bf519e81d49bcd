import { readFile } from 'node:fs/promises';

/**
 * Node.js has four threads for files, name lookups and compression. If a file system does not answer, a read hangs for
 * hours and cannot be cancelled. So hanging reads can take at most two of the threads.
 */
const MAX_RUNNING = 2;
/** Far more than all exporters of a process need at once. */
const MAX_WAITING = 1_000;

interface Read {
  readonly text: Promise<string>;
  callers: number;
}

/** Reads text files. All calls for the same file share one read, even while it hangs. */
export class FileReads {
  readonly #reads = new Map<string, Read>();
  /** Functions that start the reads of further files. */
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  async read(path: string): Promise<string> {
    const read = this.#reads.get(path) ?? this.#begin(path);
    if (read.callers === MAX_WAITING) throw new Error('too many wait for this file to be read');
    read.callers++;
    return read.text;
  }

  #begin(path: string): Read {
    if (this.#waiting.length === MAX_WAITING) throw new Error('too many files wait to be read');
    const text = this.#next(path).finally(() => this.#reads.delete(path));
    const read = { text, callers: 0 };
    this.#reads.set(path, read);
    return read;
  }

  async #next(path: string): Promise<string> {
    if (this.#running < MAX_RUNNING) this.#running++;
    else await new Promise<void>((start) => this.#waiting.push(start));
    try {
      return await readFile(path, 'utf8');
    } finally {
      // The next read takes the place of this one, so that the count stays.
      const start = this.#waiting.shift();
      if (start === undefined) this.#running--;
      else start();
    }
  }
}

/** All exporters of a process share its threads. */
export const fileReads: FileReads = new FileReads();
