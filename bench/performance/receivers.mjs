import { Child } from '../support/child.mjs';
import { CLIENTS } from './clients.mjs';

export const RECEIVER = new URL('./receiver.mjs', import.meta.url);

/** A receiver for each protocol, each in a process of its own. */
export class Receivers {
  #receivers = new Map();

  /** With `tls`, the one for Forward takes nothing else. */
  static async start({ tls } = {}) {
    const receivers = new Receivers();
    for (const protocol of ['forward', 'otlp']) {
      const child = new Child(RECEIVER, { args: [protocol] });
      receivers.#receivers.set(protocol, { child, port: await child.ask('listen', { tls }) });
    }
    return receivers;
  }

  portOf(client) {
    return this.#of(client).port;
  }

  async delayAcks(millis) {
    for (const { child } of this.#receivers.values()) await child.ask('delayAcks', millis);
  }

  /** What a pass comes to, with what its receiver had to do: bytes, connections, and the part of a core. */
  async watch(client, pass) {
    const { child } = this.#of(client);
    await child.ask('usage');
    const outcome = await pass();
    const { bytes, connections, cpuMillis } = await child.ask('usage');
    return { ...outcome, bytes, connections, receiverUtilisation: cpuMillis / outcome.millis };
  }

  /** The bytes that a client's receiver gets while `send()` runs. */
  async sample(client, send) {
    const { child } = this.#of(client);
    await child.ask('startSample');
    const sent = await send();
    return { sent, bytes: await child.ask('takeSample') };
  }

  async end() {
    for (const { child } of this.#receivers.values()) await child.end();
  }

  #of(client) {
    return this.#receivers.get(CLIENTS[client].receiver);
  }
}
