import { types } from 'node:util';
import type { LogRecordExporter, ReadableLogRecord } from '@opentelemetry/sdk-logs';
import { inCleanContext } from './clean-context.ts';
import { type Clock, nextTick, systemClock } from './clock.ts';
import { createCompressor } from './compress/create.ts';
import { type Config, resolveConfig } from './config/config.ts';
import { urlsOf } from './config/endpoint.ts';
import type { FluentForwardLogExporterOptions } from './config/options.ts';
import { Credentials } from './connection/credentials.ts';
import { ConnectionPool } from './connection/pool.ts';
import { Exports } from './delivery/exports.ts';
import { Flusher, MAX_FLUSH_MILLIS } from './delivery/flush.ts';
import type { Failure, FlushTimeout, Outcome } from './delivery/outcome.ts';
import { Sender } from './delivery/sender.ts';
import { describeRefusal, describeSilence } from './delivery/unacknowledged.ts';
import { Diagnostics, warnOfFirstLoss } from './diagnostics.ts';
import { BatchEncoder, type EncodedBatch } from './encode/batch.ts';
import { BufferPool } from './encode/buffer-pool.ts';
import { createLayout } from './encode/layout/create.ts';
import { MESSAGE_CEILING_BYTES } from './encode/message.ts';
import { FunctionTagger } from './encode/tag.ts';
import { Addresses } from './endpoint/addresses.ts';
import { type ExportErrorCode, FluentForwardConnectionError, FluentForwardExportError, messageOf } from './errors.ts';
import { MemoryBound } from './pipeline/memory.ts';
import { Stages } from './pipeline/stages.ts';
import { printableValue } from './printable.ts';
import { Counters, type FluentForwardStats, type Volume } from './stats.ts';
import { nextComponentName } from './telemetry/component.ts';
import { Metrics, meterOf } from './telemetry/metrics.ts';
import { OutageReport } from './telemetry/outage-report.ts';
import { Telemetry } from './telemetry/telemetry.ts';

type ResultCallback = Parameters<LogRecordExporter['export']>[1];

/** `ExportResultCode` of `@opentelemetry/core`, whose values are part of its contract. */
const SUCCESS = 0;
const FAILED = 1;

/** What tests put in the place of time and chance. */
export interface Surroundings {
  readonly clock: Clock;
  /** From 0 (included) to 1 (excluded). */
  readonly random: () => number;
}

/**
 * Sends log records to Fluent Bit, Fluentd and other receivers of the Forward protocol.
 *
 * An export succeeds once receivers have acknowledged every record of it that could be encoded;
 * until then its chunks are sent again, over other connections, up to `timeoutMillis`.
 *
 * @example
 * new LoggerProvider({ processors: [new BatchLogRecordProcessor({ exporter: new FluentForwardLogExporter() })] })
 */
export class FluentForwardLogExporter implements LogRecordExporter {
  /** `otel.component.name` in its metrics, and `exporter` in the messages of the diagnostics channels. */
  readonly name: string = nextComponentName();
  /** The configured endpoints, with commas between them. */
  readonly endpoint: string;
  readonly #config: Config;
  readonly #clock: Clock;
  readonly #diagnostics: Diagnostics;
  readonly #counters = new Counters();
  readonly #telemetry = new Telemetry(this.name);
  readonly #encoder: BatchEncoder;
  readonly #memory: MemoryBound;
  readonly #pool: ConnectionPool;
  readonly #stages: Stages;
  readonly #running: Exports;
  readonly #flusher: Flusher;
  /** Before the promise is there: closing may run code of the application. */
  #isShutDown = false;
  #shutdown: Promise<void> | undefined;

  /**
   * @throws TypeError for an unknown option or a value of the wrong type, RangeError for a value that
   * is not allowed. Opens no connection: the first export does.
   */
  constructor(options?: FluentForwardLogExporterOptions);
  /** @internal */
  constructor(options: FluentForwardLogExporterOptions, surroundings: Surroundings);
  constructor(
    options: FluentForwardLogExporterOptions = {},
    { clock, random }: Surroundings = { clock: systemClock, random: Math.random },
  ) {
    this.#clock = clock;
    const diagnostics = new Diagnostics(clock);
    const config = resolveConfig(options, process.env, (message) => diagnostics.warnOnce(message));
    this.#diagnostics = diagnostics;
    this.#config = config;
    this.endpoint = urlsOf(config.endpoint);
    const warn = (cause: string, message: string) => this.#warn(cause, message);
    const buffers = new BufferPool();
    this.#encoder = new BatchEncoder({
      tag: typeof config.tag === 'function' ? new FunctionTagger(config.tag, warn) : config.tag,
      limits: { maxChunkBytes: config.maxChunkBytes, ceilingBytes: MESSAGE_CEILING_BYTES },
      layout: createLayout(config, warn),
      pool: buffers,
      warn,
    });
    const compressor = createCompressor(config, buffers, warn);
    const counters = this.#counters;
    const telemetry = this.#telemetry;
    const memory = new MemoryBound(config.maxInFlightBytes);
    const pool = createPool({ config, clock, random, diagnostics, counters, telemetry });
    const sender = new Sender({ pool, clock, random, counters, telemetry, warn });
    this.#memory = memory;
    this.#pool = pool;
    this.#stages = new Stages({ compressor, sender, memory });
    const { connectTimeoutMillis, ackTimeoutMillis, timeoutMillis, flushTimeoutMillis } = config;
    const roundMillis = connectTimeoutMillis + ackTimeoutMillis;
    this.#running = new Exports({ carrier: this.#stages, pool, clock, telemetry, timeoutMillis, roundMillis });
    this.#flusher = new Flusher({ running: this.#running, sender, clock, flushTimeoutMillis, roundMillis });
    this.#startMetrics();
  }

  /**
   * Encodes the records now and delivers them. Never throws; calls back once, in a later turn,
   * within `timeoutMillis`: with code 0 when all that could be encoded is acknowledged, else with
   * code 1 and a {@link FluentForwardExportError}.
   */
  export(records: ReadableLogRecord[], resultCallback: ResultCallback): void {
    let length = 0;
    let callback = resultCallback;
    const call: ExportCall = { isEnded: false, inFlightRecords: 0 };
    try {
      this.#startMetrics();
      callback = this.#telemetry.metrics?.timed(resultCallback) ?? resultCallback;
      length = records.length;
      this.#export(records, length, callback, call);
    } catch (error) {
      // What has been handed over already may still be acknowledged, and is then not reported once more.
      this.#end(call);
      const reason = `a fault of the exporter: ${messageOf(error)}`;
      this.#fail(callback, 'FLUENT_FORWARD_INTERNAL', reason, {
        records: length,
        failed: unsent(length),
        cause: error,
      });
    }
  }

  /**
   * Resolves once the exports in flight have their results. After `flushTimeoutMillis` without an ack, or 25 s in all,
   * the exports that are left fail. Later exports are not affected. Never rejects.
   */
  async forceFlush(): Promise<void> {
    await inCleanContext(() => this.#flusher.flush());
  }

  /** Flushes as {@link forceFlush} does, then closes the connections. Later exports fail. Never rejects. */
  shutdown(): Promise<void> {
    this.#isShutDown = true;
    this.#shutdown ??= this.#flushAndClose();
    return this.#shutdown;
  }

  /** How the exporter stands: a snapshot that later events do not change. */
  stats(): FluentForwardStats {
    const { connectionStats: connections, addressStats: addresses } = this.#pool;
    return { ...this.#counters.snapshot, inFlightBytes: this.#memory.usedBytes, connections, addresses };
  }

  /** Without exports in flight at once: at the process's end there is no later turn. */
  async #flushAndClose(): Promise<void> {
    if (this.#running.inFlight.size > 0) await this.forceFlush();
    inCleanContext(() => this.#stages.close());
    this.#telemetry.metrics?.close();
  }

  /** At each export until there is a meter: the application may set the API's global provider at any time. */
  #startMetrics(): void {
    const { endpoint: endpoints, selfObsMeterProvider: provider } = this.#config;
    if (provider === undefined || this.#telemetry.metrics !== undefined || this.#isShutDown) return;
    const warn = (cause: string, message: string) => this.#warn(cause, message);
    const create = () => {
      const meter = meterOf(provider);
      return (
        meter &&
        new Metrics({
          meter,
          name: this.name,
          endpoints,
          clock: this.#clock,
          counters: this.#counters,
          state: () => ({ inFlightBytes: this.#memory.usedBytes, connections: this.#pool.connectionStats }),
          warn,
        })
      );
    };
    this.#telemetry.startMetrics(create, warn);
  }

  #export(records: ReadableLogRecord[], length: number, callback: ResultCallback, call: ExportCall): void {
    if (length === 0) {
      this.#call(callback, { code: SUCCESS });
      return;
    }
    if (this.#refuse(length, length, callback)) return;
    const batch = this.#encoder.encode(records, this.#clock.wallTime());
    if (batch.dropped > 0) this.#drop(batch, length);
    this.#counters.filteredRecords += batch.filtered;
    // What the layout leaves out is not for any receiver to acknowledge.
    const wanted = length - batch.filtered;
    if (batch.chunks.length === 0) {
      this.#endUnsent(batch, wanted, callback);
      return;
    }
    // The application's own code ran while its values were encoded.
    if (this.#refuse(wanted, wanted - batch.dropped, callback)) {
      for (const chunk of batch.chunks) chunk.release();
      return;
    }
    const encoded = wanted - batch.dropped;
    call.inFlightRecords = encoded;
    this.#counters.inFlightRecords += encoded;
    inCleanContext(() =>
      this.#running.begin(batch.chunks, (outcome) => {
        if (call.isEnded) return;
        this.#end(call);
        this.#counters.exportedRecords += outcome.kind === 'acknowledged' ? encoded : outcome.acknowledgedRecords;
        this.#conclude(outcome, wanted, callback);
      }),
    );
  }

  #end(call: ExportCall): void {
    call.isEnded = true;
    this.#counters.inFlightRecords -= call.inFlightRecords;
  }

  /** Ends an export of which nothing is left to send. */
  #endUnsent({ dropped, dropReason }: EncodedBatch, records: number, callback: ResultCallback): void {
    if (dropped === 0) {
      this.#call(callback, { code: SUCCESS });
      return;
    }
    this.#fail(callback, 'FLUENT_FORWARD_UNENCODABLE', `no record could be encoded: ${dropReason}`, {
      records,
      failed: unsent(0),
    });
  }

  /** Fails an export that cannot be taken now; tells whether it did. `failed` of its records are not counted as dropped. */
  #refuse(records: number, failed: number, callback: ResultCallback): boolean {
    const refusal = this.#refusal();
    if (refusal === undefined) return false;
    this.#fail(callback, ...refusal, { records, failed: unsent(failed), cause: this.#pool.lastError });
    return true;
  }

  #refusal(): [ExportErrorCode, string] | undefined {
    const { usedBytes, limitBytes, isReached } = this.#memory;
    const { timeout } = this.#flusher;
    if (this.#isShutDown) {
      return ['FLUENT_FORWARD_SHUT_DOWN', 'the exporter is shut down; await forceFlush() before shutdown()'];
    }
    if (isReached) {
      return [
        'FLUENT_FORWARD_IN_FLIGHT_LIMIT',
        `${usedBytes} bytes already wait for their acks (maxInFlightBytes is ${limitBytes})`,
      ];
    }
    return timeout && this.#flushTimedOut(timeout);
  }

  #flushTimedOut({ code, limit }: FlushTimeout): [ExportErrorCode, string] {
    if (limit === 'whole flush') return [code, `a flush takes at most ${MAX_FLUSH_MILLIS} ms`];
    return [code, `no ack within the ${this.#config.flushTimeoutMillis} ms for a flush (flushTimeoutMillis)`];
  }

  #conclude(outcome: Outcome, records: number, callback: ResultCallback): void {
    if (outcome.kind === 'acknowledged') {
      this.#call(callback, { code: SUCCESS });
      return;
    }
    const { acknowledgedRecords, failed, cause } = outcome;
    this.#fail(callback, ...this.#failure(outcome), { records, acknowledgedRecords, failed, cause });
  }

  #failure(outcome: Failure): [ExportErrorCode, string] {
    switch (outcome.code) {
      case 'FLUENT_FORWARD_TIMEOUT': {
        const silence = outcome.chunk === undefined ? '' : `; ${describeSilence(outcome.chunk)}`;
        return [outcome.code, `no ack within ${this.#config.timeoutMillis} ms (timeoutMillis)${silence}`];
      }
      case 'FLUENT_FORWARD_FLUSH_TIMEOUT':
        return this.#flushTimedOut(outcome);
      case 'FLUENT_FORWARD_CHUNK_REFUSED':
        return [outcome.code, describeRefusal(outcome.chunk)];
    }
  }

  #fail(
    callback: ResultCallback,
    code: ExportErrorCode,
    reason: string,
    batch: { records: number; acknowledgedRecords?: number; failed: Volume; cause?: unknown },
  ): void {
    const { records, acknowledgedRecords = 0, failed, cause } = batch;
    this.#counters.failed(code, failed);
    const { endpoint } = this;
    const fault = cause instanceof FluentForwardConnectionError ? `; last fault: ${cause.message}` : '';
    const error = new FluentForwardExportError(
      code,
      `${records - acknowledgedRecords} of ${records} log records were not acknowledged by ${endpoint}: ${reason}${fault}`,
      { records, acknowledgedRecords, endpoint, cause },
    );
    warnOfFirstLoss(error);
    this.#call(callback, { code: FAILED, error });
  }

  #drop({ dropped, oversize, dropCause, dropReason }: EncodedBatch, records: number): void {
    this.#counters.droppedRecords += dropped;
    this.#counters.oversizeRecords += oversize;
    this.#warn(`dropped as ${dropCause}`, `dropped ${dropped} of ${records} log records: ${dropReason}`);
  }

  /** By its endpoints a reader tells this exporter from others. */
  #warn(cause: string, message: string): void {
    this.#diagnostics.warn(cause, `${this.endpoint}: ${message}`);
  }

  #call(callback: ResultCallback, result: Parameters<ResultCallback>[0]): void {
    const threw = (error: unknown) =>
      this.#warn('callback', `the result callback of export() threw: ${printableValue(error)}`);
    nextTick(() => {
      try {
        const returned: unknown = callback(result);
        if (types.isPromise(returned)) void returned.catch(threw);
      } catch (error) {
        threw(error);
      }
    });
  }
}

/** One call of `export()`. */
interface ExportCall {
  /** Whether its result is known. */
  isEnded: boolean;
  /** How many of its records count as in flight until then. */
  inFlightRecords: number;
}

/** Records that no chunk carries. */
function unsent(records: number): Volume {
  return { records, bytes: 0, rawBytes: 0 };
}

type PoolParts = Omit<ConstructorParameters<typeof ConnectionPool>[0], 'addresses' | 'credentials' | 'outage'>;

function createPool(parts: PoolParts): ConnectionPool {
  const { clock, config, counters, diagnostics } = parts;
  const { endpoint: endpoints, tls } = config;
  return new ConnectionPool({
    ...parts,
    addresses: new Addresses({ ...config, ...parts, endpoints, tlsServerName: tls.serverName }),
    credentials: new Credentials({ config, clock, diagnostics }),
    outage: new OutageReport({ clock, counters, diagnostics }),
  });
}
