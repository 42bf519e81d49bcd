import { readFile } from 'node:fs/promises';

/**
 * Reading a file takes one of the four threads that Node.js has for files, name lookups and compression. A read of a
 * file system that is away can hang for hours and cannot be cancelled, so these two are all that ever hang.
 */
const MAX_RUNNING = 2;
/** Far more than all exporters of a process need at once. */
const MAX_WAITING = 1_000;

interface Read {
  readonly text: Promise<string>;
  callers: number;
}

/** Reads text files. A file is read once at a time: while a read hangs, all who want the file wait for it. */
export class FileReads {
  readonly #reads = new Map<string, Read>();
  /** Each starts the read of another file. */
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
      // Hands its turn over.
      const start = this.#waiting.shift();
      if (start === undefined) this.#running--;
      else start();
    }
  }
}

/** All exporters of a process share its threads. */
export const fileReads: FileReads = new FileReads();
