import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ReceivedMessage } from '../../src/testing/index.ts';
import { settle } from '../support/fake-clock.ts';

const root = new URL('../..', import.meta.url);

type Child = ChildProcessByStdio<null, Readable, null>;

function start(program: string, ...args: string[]): Child {
  return spawn(process.execPath, [`test/faults/${program}`, ...args], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

async function stop(child: Child): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const closed = once(child, 'close');
  child.kill('SIGKILL');
  await closed;
}

/** A {@link ForwardReceiver} without faults in a process of its own, which works while this one is blocked. */
export class ChildReceiver {
  readonly endpoint: string;
  /** The messages that the receiver has reported so far. */
  readonly messages: ReceivedMessage[] = [];
  readonly #child: Child;
  readonly #directory: string;

  private constructor(child: Child, endpoint: string, directory: string) {
    this.#child = child;
    this.endpoint = endpoint;
    this.#directory = directory;
  }

  static async start(): Promise<ChildReceiver> {
    const directory = mkdtempSync(join(tmpdir(), 'child-receiver-'));
    writeFileSync(acksIn(directory), '');
    const child = start('receiver.mjs', acksIn(directory));
    const lines = createInterface({ input: child.stdout });
    const [endpoint] = (await once(lines, 'line')) as [string];
    const receiver = new ChildReceiver(child, JSON.parse(endpoint), directory);
    lines.on('line', (line) => receiver.messages.push(JSON.parse(line)));
    return receiver;
  }

  /** How many acks it has sent; needs no turn of the event loop. */
  get acks(): number {
    return statSync(acksIn(this.#directory)).size;
  }

  /** From now on only the kernel accepts and reads. */
  pause(): void {
    this.#child.kill('SIGSTOP');
  }

  resume(): void {
    this.#child.kill('SIGCONT');
  }

  async close(): Promise<void> {
    await stop(this.#child);
    rmSync(this.#directory, { recursive: true });
  }
}

/** A file with a byte for each ack. */
function acksIn(directory: string): string {
  return join(directory, 'acks');
}

/** Long enough for a connect on loopback, also on a busy machine. */
const HANGS_MILLIS = 1_000;

/** A port whose kernel drops what wants to connect: a listener that never accepts, and whose queue is full. */
export class BlackHole {
  readonly port: number;
  readonly #child: Child;
  readonly #queued: readonly Socket[];

  private constructor(child: Child, port: number, queued: readonly Socket[]) {
    this.#child = child;
    this.port = port;
    this.#queued = queued;
  }

  static async open(host = '127.0.0.1'): Promise<BlackHole> {
    const child = start('black-hole.mjs', host);
    const [port] = (await once(child.stdout, 'data')) as [Buffer];
    child.kill('SIGSTOP');
    const queued: Socket[] = [];
    let isFull = false;
    while (!isFull) {
      const socket = connect({ host, port: Number(port) }).on('error', () => {});
      queued.push(socket);
      isFull = await hangs(socket);
    }
    return new BlackHole(child, Number(port), queued);
  }

  async close(): Promise<void> {
    for (const socket of this.#queued) socket.destroy();
    await stop(this.#child);
  }
}

async function hangs(socket: Socket): Promise<boolean> {
  const limit = new AbortController();
  const isOver = sleep(HANGS_MILLIS, undefined, limit).catch(() => {});
  await Promise.race([once(socket, 'connect'), isOver]);
  limit.abort();
  // After a time without CPU the limit comes first, and only then the connect that was in time.
  await settle();
  return socket.connecting;
}
