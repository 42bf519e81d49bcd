import { setTimeout as sleep } from 'node:timers/promises';
import { ForwardReceiver } from 'opentelemetry-exporter-fluent-forward/testing';

/** Receivers behind one name: tells of each record that arrives, and counts each receiver's load over time. */
export class ReceiverTier {
  static NAME = 'tcp://fluent.bench:24224';

  /** For each bin of time the records that each receiver got in it. */
  loads = [];
  #ports = [];
  #receivers = [];
  #binMillis;
  #onRecord;
  #startedAt = performance.now();

  constructor({ binMillis, onRecord }) {
    this.#binMillis = binMillis;
    this.#onRecord = onRecord;
  }

  /** Stands in for DNS: all receivers, whether they run or not. */
  resolver = async () => this.#ports.map((port) => ({ address: '127.0.0.1', port }));

  /** Starts so many receivers more. */
  async grow(count) {
    for (let added = 0; added < count; added++) {
      const receiver = await this.#listen(this.#receivers.length, 0);
      this.#receivers.push(receiver);
      this.#ports.push(receiver.port);
    }
  }

  /** Ends a receiver and its connections, and starts another in its place. */
  async restart(index, downMillis) {
    await this.#receivers[index].close();
    await sleep(downMillis);
    this.#receivers[index] = await this.#listen(index, this.#ports[index]);
  }

  /** The bins start now. */
  startClock() {
    this.#startedAt = performance.now();
  }

  async close() {
    await Promise.all(this.#receivers.map((receiver) => receiver.close()));
  }

  async #listen(index, port) {
    const receiver = await ForwardReceiver.listen({ port, retain: false });
    receiver.on('message', ({ entries }) => {
      this.#count(index, entries.length);
      for (const { record } of entries) this.#onRecord(record);
    });
    return receiver;
  }

  #count(index, records) {
    const bin = Math.floor((performance.now() - this.#startedAt) / this.#binMillis);
    while (this.loads.length <= bin) this.loads.push([]);
    const load = this.loads[bin];
    load[index] = (load[index] ?? 0) + records;
  }
}
