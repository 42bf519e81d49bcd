import type { TLSSocket } from 'node:tls';
import type { Clock } from '../clock.ts';

/**
 * Whether a TLS 1.3 server may still refuse this client. In TLS 1.3 the client's side of the handshake ends before the
 * server has checked the client's certificate. The server sends data and tickets for later sessions only after that.
 */
export class PendingVerdict {
  readonly #clock: Clock;
  #until: number;

  /** The verdict counts as given after `limitMillis`. */
  constructor(socket: TLSSocket, clock: Clock, limitMillis: number) {
    this.#clock = clock;
    this.#until = clock.now() + limitMillis;
    socket.once('session', () => this.give());
  }

  get isPending(): boolean {
    return this.#clock.now() < this.#until;
  }

  /** The server has accepted the client. */
  give(): void {
    this.#until = Number.NEGATIVE_INFINITY;
  }
}
