import type { ConnectionStats } from '../stats.ts';
import type { ConnectionInfo } from '../telemetry/channels.ts';
import { Dial, type DialOptions } from './dial.ts';
import { placeOf } from './failure.ts';

export interface ConnectingOptions extends DialOptions {
  /** Its number among the connections of the exporter. */
  readonly id: number;
  /** The configured endpoints. Messages name them while there is no address. */
  readonly endpoints: string;
}

/** A connection that is being dialled. */
export class Connecting {
  readonly #options: ConnectingOptions;
  readonly #dial: Dial;
  /** When the dial began, on the clock. */
  readonly dialledAt: number;

  constructor(options: ConnectingOptions) {
    this.#options = options;
    this.dialledAt = options.clock.now();
    this.#dial = new Dial(options);
  }

  get id(): number {
    return this.#options.id;
  }

  get address(): Dial['address'] {
    return this.#dial.address;
  }

  /** Where it leads to, for messages. */
  get place(): string {
    return this.address === undefined ? this.#options.endpoints : placeOf(this.address);
  }

  get stats(): ConnectionStats {
    return {
      endpoint: this.address?.endpoint.url,
      address: this.address?.text,
      state: 'connecting',
      ageMillis: this.#options.clock.now() - this.dialledAt,
      inFlightChunks: 0,
    };
  }

  get info(): ConnectionInfo {
    return { id: this.id, endpoint: this.address?.endpoint.url, address: this.address?.text };
  }

  /** Gives the dial up. */
  close(): void {
    this.#dial.cancel();
  }
}
