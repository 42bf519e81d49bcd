import { MessageChannel, type MessagePort, receiveMessageOnPort, Worker } from 'node:worker_threads';
import { systemClock } from '../clock.ts';
import { messageOf } from '../errors.ts';
import { Acks } from './acks.ts';
import type { ExitWorkerData, Fault, HandOver, Order } from './hand-over.ts';
import { WORKER_SOURCE } from './worker-source.ts';

/** What became of a hand-over. */
export interface Sent {
  readonly isAcknowledged: (chunkId: string) => boolean;
  /** The last fault of a connection, if there was no ack since. */
  readonly fault: string | undefined;
  /** Why nothing was sent. Undefined if it was. */
  readonly obstacle: string | undefined;
}

/** A worker thread that sends chunks while this thread waits for it, because at `exit` nothing else runs on this one. */
export class ExitThread {
  #port: MessagePort | undefined;

  /** Blocks this thread until all chunks are acknowledged, for at most `millis`. Returns what became of each hand-over. */
  send(handOvers: readonly HandOver[], millis: number): readonly Sent[] {
    const chunks = handOvers.flatMap((handOver) => handOver.chunks);
    const acks = Acks.for(chunks.length);
    const end = systemClock.now() + millis;
    const faults = new Map<number, string>();
    let obstacle: string | undefined;
    try {
      this.#port ??= this.#start();
      const order: Order = { handOvers, acks: acks.buffer };
      this.#port.postMessage(
        order,
        chunks.map(({ bytes }) => bytes.buffer),
      );
      acks.wait(Math.max(0, end - systemClock.now()));
      for (const { handOver, message } of messagesOf(this.#port)) faults.set(handOver, message);
    } catch (error) {
      obstacle = `no worker thread could be used: ${messageOf(error)}`;
    }
    const acknowledged = new Set(chunks.filter((_, index) => acks.has(index)).map(({ id }) => id));
    const isAcknowledged = (id: string) => acknowledged.has(id);
    return handOvers.map((_, index) => ({ isAcknowledged, fault: faults.get(index), obstacle }));
  }

  /** Starts the thread without the preloads of the process, because a preload such as `register` would run in it again. */
  #start(): MessagePort {
    const { port1, port2 } = new MessageChannel();
    const { NODE_OPTIONS: _, ...env } = process.env;
    const workerData: ExitWorkerData = { port: port2 };
    const worker = new Worker(WORKER_SOURCE, { eval: true, execArgv: [], env, workerData, transferList: [port2] });
    worker.unref();
    // This happens only if the process goes on. The missing acks show that the thread has failed.
    worker.on('error', () => {});
    worker.on('exit', () => {
      this.#port = undefined;
    });
    return port1;
  }
}

/** Whether the process may start threads: under `--permission` it needs `--allow-worker`. */
export function mayStartThread(): boolean {
  const { permission } = process as { readonly permission?: { has(scope: string): boolean } };
  return permission === undefined || permission.has('worker');
}

function* messagesOf(port: MessagePort): Generator<Fault> {
  for (let received = receiveMessageOnPort(port); received !== undefined; received = receiveMessageOnPort(port)) {
    yield received.message as Fault;
  }
}
