import { type MessagePort, workerData } from 'node:worker_threads';
import { messageOf } from '../../errors.ts';
import { Acks } from '../acks.ts';
import type { ExitWorkerData, Fault, Order } from '../hand-over.ts';
import { send } from './send.ts';

/** The worker thread that sends what is left when the process ends. The port keeps it alive. */
function listen(port: MessagePort): void {
  port.on('message', ({ handOvers, acks: buffer }: Order) => {
    const acks = new Acks(buffer);
    let first = 0;
    const sent = handOvers.map((handOver, index) => {
      const place = first;
      first += handOver.chunks.length;
      const report = (message: string) => port.postMessage({ handOver: index, message } satisfies Fault);
      return send(handOver, (chunk) => acks.acknowledge(place + chunk), report).catch((error: unknown) =>
        report(messageOf(error)),
      );
    });
    void Promise.all(sent).then(() => acks.finish());
  });
}

listen((workerData as ExitWorkerData).port);
