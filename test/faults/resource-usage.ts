import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { Socket } from 'node:net';

/** The sockets that this process has dialled since it was made. */
export class ClientSockets {
  readonly #sockets: Socket[] = [];
  readonly #seen = (message: unknown): void => {
    this.#sockets.push((message as { socket: Socket }).socket);
  };

  constructor() {
    subscribe('net.client.socket', this.#seen);
  }

  get dialled(): number {
    return this.#sockets.length;
  }

  /** Whether the kernel has not answered one of them yet. */
  get isDialling(): boolean {
    return this.open.some(({ connecting }) => connecting);
  }

  /** The sockets that hold a file descriptor, or whose release the kernel has not confirmed yet. */
  get open(): readonly Socket[] {
    return this.#sockets.filter((socket) => !socket.closed);
  }

  /** Listeners on the open ones. */
  get listeners(): number {
    return this.open.reduce((sum, socket) => sum + listenersOf(socket), 0);
  }

  stop(): void {
    unsubscribe('net.client.socket', this.#seen);
  }
}

function listenersOf(emitter: NodeJS.EventEmitter): number {
  return emitter.eventNames().reduce((sum, name) => sum + emitter.listenerCount(name), 0);
}

/** What an exporter could leave behind in a process beside its sockets and timers. */
export function resources(): { readonly requests: readonly string[]; readonly processListeners: number } {
  const requests = process.getActiveResourcesInfo().filter((name) => /Connect|Shutdown|GetAddrInfo/.test(name));
  return { requests: requests.sort(), processListeners: listenersOf(process) };
}

/** By how many bytes this process has grown since this was made, garbage included. */
export class Memory {
  readonly #before: NodeJS.MemoryUsage;

  constructor() {
    collectGarbage();
    this.#before = process.memoryUsage();
  }

  /** In the memory that the system has given it. */
  get rssGrowth(): number {
    return process.memoryUsage.rss() - this.#before.rss;
  }

  /** In the size of its buffers, even if the system has not given it the pages yet. */
  get bufferGrowth(): number {
    return process.memoryUsage().arrayBuffers - this.#before.arrayBuffers;
  }

  /** In the size of its objects and buffers. */
  get usedGrowth(): number {
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    return heapUsed + arrayBuffers - this.#before.heapUsed - this.#before.arrayBuffers;
  }
}

/** Twice: the first call may only end a collection on its way, which keeps all that has died since it began. */
export function collectGarbage(): void {
  for (let call = 0; call < 2; call++) (globalThis.gc as NodeJS.GCFunction)();
}
