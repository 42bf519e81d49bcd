import { MessageChannel, type MessagePort, receiveMessageOnPort, Worker } from 'node:worker_threads';
import { systemClock } from '../clock.ts';
import { messageOf } from '../errors.ts';
import { Acks } from './acks.ts';
import type { ExitWorkerData, Fault, HandOver, Order } from './hand-over.ts';
import { WORKER_SOURCE } from './worker-source.ts';

/** What became of a hand-over. */
export interface Sent {
  readonly isAcknowledged: (chunkId: string) => boolean;
  /** Why chunks are left, as far as it is known. */
  readonly fault: string | undefined;
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
    try {
      this.#port ??= start();
      const order: Order = { handOvers, acks: acks.buffer };
      this.#port.postMessage(
        order,
        chunks.map(({ bytes }) => bytes.buffer),
      );
      acks.wait(Math.max(0, end - systemClock.now()));
      for (const { handOver, message } of messagesOf(this.#port)) faults.set(handOver, message);
    } catch (error) {
      for (const index of handOvers.keys()) faults.set(index, `no worker thread could be started: ${messageOf(error)}`);
    }
    const acknowledged = new Set(chunks.filter((_, index) => acks.has(index)).map(({ id }) => id));
    const isAcknowledged = (id: string) => acknowledged.has(id);
    return handOvers.map((_, index) => ({ isAcknowledged, fault: faults.get(index) }));
  }
}

/** Starts the thread without the preloads of the process, because a preload such as `register` would run in it again. */
function start(): MessagePort {
  const { port1, port2 } = new MessageChannel();
  const { NODE_OPTIONS: _, ...env } = process.env;
  const workerData: ExitWorkerData = { port: port2 };
  const worker = new Worker(WORKER_SOURCE, { eval: true, execArgv: [], env, workerData, transferList: [port2] });
  worker.unref();
  return port1;
}

function* messagesOf(port: MessagePort): Generator<Fault> {
  for (let received = receiveMessageOnPort(port); received !== undefined; received = receiveMessageOnPort(port)) {
    yield received.message as Fault;
  }
}
