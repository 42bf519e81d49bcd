import { once } from 'node:events';
import { connect } from 'node:net';
import { decodeMultiStream, encode } from '@msgpack/msgpack';

/**
 * What the exporter is compared with: a client with one connection and one message at a time, which
 * at the first message after its interval closes the connection and only then dials again, at any of
 * the addresses, as fluent-logger-golang does with `AsyncReconnectInterval`. Without an interval it
 * keeps its first connection for ever. There is no error handling: its receivers do not fail.
 */
export class RedialingClient {
  #resolver;
  #random;
  #intervalMillis;
  #socket;
  #acks;
  #connectedAt;
  #chunks = 0;
  /** What was exported before, to its ack. */
  #last = Promise.resolve();

  constructor({ resolver, random, intervalMillis = Number.POSITIVE_INFINITY }) {
    this.#resolver = resolver;
    this.#random = random;
    this.#intervalMillis = intervalMillis;
  }

  export(records, callback) {
    this.#last = this.#last.then(async () => {
      await this.#send(records);
      callback({ code: 0 });
    });
  }

  async forceFlush() {
    await this.#last;
  }

  async shutdown() {
    await this.#last;
    this.#socket?.destroy();
  }

  async #send(records) {
    if (this.#socket === undefined) await this.#dial();
    else if (performance.now() - this.#connectedAt > this.#intervalMillis) {
      this.#socket.destroy();
      await this.#dial();
    }
    const chunk = String(this.#chunks++);
    const entries = records.map(({ hrTime, body }) => [hrTime[0], { body }]);
    this.#socket.write(encode(['bench', entries, { chunk }]));
    const { value } = await this.#acks.next();
    if (value?.ack !== chunk) throw new Error(`chunk ${chunk} was not acknowledged`);
  }

  async #dial() {
    const addresses = await this.#resolver();
    const { address, port } = addresses[Math.floor(this.#random() * addresses.length)];
    this.#socket = connect({ host: address, port, noDelay: true });
    await once(this.#socket, 'connect');
    this.#acks = decodeMultiStream(this.#socket);
    this.#connectedAt = performance.now();
  }
}
