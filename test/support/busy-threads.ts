import { execFileSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

const THREADS = Number(process.env.UV_THREADPOOL_SIZE ?? 4);

/** Occupies all of libuv's threads, so that what is given to them from now on waits for `release()`, or for the end of the test. */
export function occupyThreads(): { release(): Promise<void> } {
  const directory = mkdtempSync(join(tmpdir(), 'busy-threads-'));
  const pipe = join(directory, 'pipe');
  execFileSync('mkfifo', [pipe]);
  // Each occupies its thread until there is a writer.
  const readers = Array.from({ length: THREADS }, () => open(pipe, 'r'));
  let released: Promise<void> | undefined;
  const release = async () => {
    const writer = openSync(pipe, 'r+');
    for (const reader of await Promise.all(readers)) await reader.close();
    closeSync(writer);
    rmSync(directory, { recursive: true });
  };
  const threads = {
    release: () => {
      released ??= release();
      return released;
    },
  };
  onTestFinished(threads.release);
  return threads;
}
