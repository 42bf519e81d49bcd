import { execFileSync } from 'node:child_process';
import { closeSync, constants, linkSync, mkdtempSync, openSync, renameSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { until } from './fake-clock.ts';

/** A file whose reads hang from `hang()` to `end()`, as those of a network file system that is away. */
export class HangingFile {
  readonly path: string;
  /** A reader of a FIFO waits for a writer, and for what that writes. */
  readonly #fifo: string;
  #writer: number | undefined;

  constructor(text: string) {
    const directory = mkdtempSync(join(tmpdir(), 'hanging-'));
    this.path = join(directory, 'file.pem');
    this.#fifo = join(directory, 'fifo');
    execFileSync('mkfifo', [this.#fifo]);
    writeFileSync(this.path, text);
    onTestFinished(() => {
      if (this.isHanging) this.end('');
    });
  }

  hang(): void {
    linkSync(this.#fifo, `${this.path}.new`);
    renameSync(`${this.path}.new`, this.path);
  }

  /** Whether a read hangs. */
  get isHanging(): boolean {
    this.#writer ??= this.#openForWriting();
    return this.#writer !== undefined;
  }

  /** The read that hangs gets the text, as all later ones do. */
  end(text: string): void {
    writeFileSync(`${this.path}.new`, text);
    renameSync(`${this.path}.new`, this.path);
    if (!this.isHanging) return;
    writeSync(this.#writer as number, text);
    closeSync(this.#writer as number);
    this.#writer = undefined;
  }

  #openForWriting(): number | undefined {
    try {
      return openSync(this.#fifo, constants.O_WRONLY | constants.O_NONBLOCK);
    } catch (error) {
      // There is no reader.
      if ((error as NodeJS.ErrnoException).code !== 'ENXIO') throw error;
      return undefined;
    }
  }
}

/** Waits until the reads of so many of the files hang. */
export async function hanging(files: readonly HangingFile[], count: number): Promise<void> {
  await until(() => files.filter(({ isHanging }) => isHanging).length === count);
}
