import { once } from 'node:events';
import { connect, createServer } from 'node:net';

/** What clients connect to. Passes bytes on to a server, and breaks as a machine or a network does. */
export class Gate {
  #port;
  #target;
  #server;
  #isHanging = false;
  /** The client's side of each connection, and the server's side of the same one. */
  #pairs = new Map();

  /** Listens on `port`, for a server that listens on the port `target`. */
  constructor(port, target) {
    this.#port = port;
    this.#target = target;
  }

  async open() {
    this.#server = createServer({ noDelay: true }, (client) => this.#pass(client));
    this.#server.listen(this.#port, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  /** Ends all connections and refuses new ones. */
  close() {
    this.#server.close();
    for (const client of this.#pairs.keys()) client.destroy();
  }

  /** Keeps the answers back, on the connections that are open. */
  mute() {
    for (const upstream of this.#pairs.values()) upstream.pause();
  }

  /** Neither reads nor answers, also on new connections. */
  hang() {
    this.#isHanging = true;
    for (const pair of this.#pairs) for (const socket of pair) socket.pause();
  }

  /** Resets all connections, with what was not read, and works again. */
  reset() {
    this.#isHanging = false;
    for (const client of this.#pairs.keys()) client.resetAndDestroy();
  }

  get connections() {
    return this.#pairs.size;
  }

  #pass(client) {
    const upstream = connect({ port: this.#target, host: '127.0.0.1', noDelay: true });
    this.#pairs.set(client, upstream);
    this.#join(client, upstream);
    this.#join(upstream, client);
    upstream.once('close', () => this.#pairs.delete(client));
  }

  #join(from, to) {
    // A reset is the end of a connection like any other.
    from.on('error', () => {});
    from.on('data', (data) => to.write(data));
    // A socket that is paused does not see its end.
    from.once('close', () => to.resume().end());
    if (this.#isHanging) from.pause();
  }
}
