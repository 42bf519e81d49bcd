import type { Socket } from 'node:net';
import { settle, until } from './fake-clock.ts';

/** So often in a row nothing may have moved. */
const TURNS = 30;

/** Waits until a socket has something to write of which the kernel takes nothing: its peer has stopped reading. */
export async function untilStuck(sockets: () => readonly Socket[]): Promise<void> {
  let last = -1;
  for (let turns = 0; turns < TURNS; turns++) {
    await until(() => sockets().some(({ writableLength }) => writableLength > 0));
    await settle();
    const written = sockets().reduce((sum, { bytesWritten }) => sum + bytesWritten, 0);
    if (written !== last) turns = 0;
    last = written;
  }
}
