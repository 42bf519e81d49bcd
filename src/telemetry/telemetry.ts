import { type Channel, channel } from 'node:diagnostics_channel';
import type { Chunk } from '../encode/chunk.ts';
import { type ExportErrorCode, type FluentForwardConnectionError, messageOf } from '../errors.ts';
import type { ChunkInfo, ConnectionInfo, FluentForwardChannels } from './channels.ts';
import type { Metrics } from './metrics.ts';

/** A channel that takes what {@link FluentForwardChannels} says. */
interface TypedChannel<Message> extends Channel {
  publish(message: Message): void;
}

function channelOf<Name extends keyof FluentForwardChannels>(name: Name): TypedChannel<FluentForwardChannels[Name]> {
  return channel(name);
}

const CHANNELS = {
  opened: channelOf('fluent-forward:connection:opened'),
  ready: channelOf('fluent-forward:connection:ready'),
  closed: channelOf('fluent-forward:connection:closed'),
  rotated: channelOf('fluent-forward:connection:rotated'),
  sent: channelOf('fluent-forward:chunk:sent'),
  resent: channelOf('fluent-forward:chunk:resent'),
  acknowledged: channelOf('fluent-forward:chunk:acknowledged'),
  failed: channelOf('fluent-forward:chunk:failed'),
};

/** A connection, described only when somebody listens. */
interface Described {
  readonly info: ConnectionInfo;
}

/**
 * What happens to connections and chunks, for the subscribers of the diagnostics channels and for the
 * histograms. Nothing is built while there are none of them.
 */
export class Telemetry {
  readonly #exporter: string;
  #metrics: Metrics | undefined;
  #mayStart = true;

  constructor(exporter: string) {
    this.#exporter = exporter;
  }

  /** Once there is a meter for them. */
  get metrics(): Metrics | undefined {
    return this.#metrics;
  }

  /**
   * Starts the metrics. `create` returns `undefined` while there is no meter. It calls the meter provider, which belongs
   * to the application: if that throws, it is not called again.
   */
  startMetrics(create: () => Metrics | undefined, warn: (cause: string, message: string) => void): void {
    if (!this.#mayStart) return;
    // Before the call, which may export again.
    this.#mayStart = false;
    try {
      this.#metrics = create();
      this.#mayStart = this.#metrics === undefined;
    } catch (error) {
      warn('meter provider', `the meter provider threw: ${messageOf(error)}; no metrics are recorded`);
    }
  }

  opened(connection: Described, dialMillis: number): void {
    this.#metrics?.dialled(dialMillis);
    if (!CHANNELS.opened.hasSubscribers) return;
    CHANNELS.opened.publish({ exporter: this.#exporter, connection: connection.info, dialMillis });
  }

  dialFailed(error: FluentForwardConnectionError, dialMillis: number): void {
    this.#metrics?.dialled(dialMillis, error.code);
  }

  ready(connection: Described): void {
    if (!CHANNELS.ready.hasSubscribers) return;
    CHANNELS.ready.publish({ exporter: this.#exporter, connection: connection.info });
  }

  closed(connection: Described, error: FluentForwardConnectionError): void {
    if (!CHANNELS.closed.hasSubscribers) return;
    CHANNELS.closed.publish({ exporter: this.#exporter, connection: connection.info, error });
  }

  rotated(from: Described, to: Described): void {
    if (!CHANNELS.rotated.hasSubscribers) return;
    CHANNELS.rotated.publish({ exporter: this.#exporter, from: from.info, to: to.info });
  }

  sent(chunk: Chunk, connection: Described): void {
    if (!CHANNELS.sent.hasSubscribers) return;
    CHANNELS.sent.publish({ exporter: this.#exporter, chunk: infoOf(chunk), connection: connection.info });
  }

  resent(chunk: Chunk, connection: Described, error: FluentForwardConnectionError): void {
    if (!CHANNELS.resent.hasSubscribers) return;
    CHANNELS.resent.publish({ exporter: this.#exporter, chunk: infoOf(chunk), connection: connection.info, error });
  }

  acknowledged(chunk: Chunk, connection: Described, latencyMillis: number): void {
    this.#metrics?.acknowledged(latencyMillis);
    if (!CHANNELS.acknowledged.hasSubscribers) return;
    CHANNELS.acknowledged.publish({
      exporter: this.#exporter,
      chunk: infoOf(chunk),
      connection: connection.info,
      latencyMillis,
    });
  }

  failed(chunk: Chunk, code: ExportErrorCode, error: FluentForwardConnectionError | undefined): void {
    if (!CHANNELS.failed.hasSubscribers) return;
    CHANNELS.failed.publish({ exporter: this.#exporter, chunk: infoOf(chunk), code, error });
  }
}

function infoOf({ id, tag, records, bytes }: Chunk): ChunkInfo {
  return { id, tag, records, bytes: bytes.length };
}
