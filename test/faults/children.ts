import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import type { ReceivedMessage } from '../../src/testing/index.ts';

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
  /** What it has told of so far. */
  readonly messages: ReceivedMessage[] = [];
  readonly #child: Child;

  private constructor(child: Child, endpoint: string) {
    this.#child = child;
    this.endpoint = endpoint;
  }

  static async start(): Promise<ChildReceiver> {
    const child = start('receiver.mjs');
    const lines = createInterface({ input: child.stdout });
    const [endpoint] = (await once(lines, 'line')) as [string];
    const receiver = new ChildReceiver(child, JSON.parse(endpoint));
    lines.on('line', (line) => receiver.messages.push(JSON.parse(line)));
    return receiver;
  }

  /** From now on only the kernel accepts and reads. */
  pause(): void {
    this.#child.kill('SIGSTOP');
  }

  resume(): void {
    this.#child.kill('SIGCONT');
  }

  close(): Promise<void> {
    return stop(this.#child);
  }
}

/** Long enough for a connect on loopback, short of the second at which the kernel tries again. */
const HANGS_MILLIS = 200;

/** A port whose kernel drops what wants to connect: a listener that never accepts, its queue full. */
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

function hangs(socket: Socket): Promise<boolean> {
  return new Promise((resolve) => {
    const limit = setTimeout(() => resolve(true), HANGS_MILLIS);
    socket.once('connect', () => {
      clearTimeout(limit);
      resolve(false);
    });
  });
}
