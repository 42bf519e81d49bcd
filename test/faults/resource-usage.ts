import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Clock, systemClock, type Timer } from '../../src/clock.ts';

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

  /** Those that hold a file descriptor, or wait for the kernel to let go of one. */
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

/** The system's clock, which also counts the timers that are running. */
export class RealClock implements Clock {
  readonly now = systemClock.now;
  readonly wallTime = systemClock.wallTime;
  readonly afterReads = systemClock.afterReads;
  readonly #running = new Set<Timer>();

  get timers(): number {
    return this.#running.size;
  }

  async advance(millis: number): Promise<void> {
    await sleep(millis);
  }

  after(millis: number, callback: () => void, keepAlive?: boolean): Timer {
    const running = systemClock.after(
      millis,
      () => {
        this.#running.delete(running);
        callback();
      },
      keepAlive,
    );
    this.#running.add(running);
    return {
      cancel: () => {
        this.#running.delete(running);
        running.cancel();
      },
    };
  }
}

/** By how many bytes this process has grown since this was made, what may be collected as garbage included. */
export class Memory {
  readonly #before: NodeJS.MemoryUsage;

  constructor() {
    collectGarbage();
    this.#before = process.memoryUsage();
  }

  /** What it has from the system. */
  get rssGrowth(): number {
    return process.memoryUsage.rss() - this.#before.rss;
  }

  /** What its buffers hold, also where the system has not given it the pages yet. */
  get bufferGrowth(): number {
    return process.memoryUsage().arrayBuffers - this.#before.arrayBuffers;
  }
}

export function collectGarbage(): void {
  (globalThis.gc as NodeJS.GCFunction)();
}
