import type { LogRecordExporter, ReadableLogRecord } from '@opentelemetry/sdk-logs';
import type { FluentForwardLogExporterOptions } from './config/options.ts';
import type { EncodedBatch } from './encode/batch.ts';
import { messageOf } from './errors.ts';
import { ExportCall } from './export-call.ts';
import { describeFailure } from './export-failure.ts';
import type { BatchIntake } from './pipeline/batch-intake.ts';
import { createBatchIntake, type Dependencies } from './pipeline/create.ts';
import type { FluentForwardStats, Volume } from './stats.ts';

type ResultCallback = Parameters<LogRecordExporter['export']>[1];

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
  readonly name: string;
  /** The configured endpoints, with commas between them. */
  readonly endpoint: string;
  readonly #intake: BatchIntake;

  /**
   * @throws TypeError for an unknown option or a value of the wrong type, RangeError for a value that
   * is not allowed. Opens no connection: the first export does.
   */
  constructor(options?: FluentForwardLogExporterOptions);
  /** @internal */
  constructor(options: FluentForwardLogExporterOptions, dependencies: Dependencies);
  constructor(options: FluentForwardLogExporterOptions = {}, dependencies?: Dependencies) {
    this.#intake = createBatchIntake(options, dependencies);
    const { pipeline } = this.#intake;
    this.name = pipeline.name;
    this.endpoint = pipeline.endpoint;
    pipeline.startMetrics();
  }

  /**
   * Encodes the records now and delivers them. Never throws; calls back once, in a later turn,
   * within `timeoutMillis`: with code 0 when all that could be encoded is acknowledged, else with
   * code 1 and a {@link FluentForwardExportError}.
   */
  export(records: ReadableLogRecord[], resultCallback: ResultCallback): void {
    const call = new ExportCall(this.#intake, resultCallback);
    let length = 0;
    try {
      this.#intake.pipeline.startMetrics();
      call.measure();
      length = records.length;
      this.#export(records, length, call);
    } catch (error) {
      // Chunks that were handed over may still be acknowledged. The call has its result by then, and gets no other.
      const reason = `a fault of the exporter: ${messageOf(error)}`;
      call.fail('FLUENT_FORWARD_INTERNAL', reason, { records: length, failed: unsent(length), cause: error });
    }
  }

  /**
   * Resolves once the exports in flight have their results. After `flushTimeoutMillis` without an ack, or 25 s in all,
   * the exports that are left fail. Later exports are not affected. Never rejects.
   */
  forceFlush(): Promise<void> {
    return this.#intake.flush();
  }

  /** Flushes as {@link forceFlush} does, then closes the connections. Later exports fail. Never rejects. */
  shutdown(): Promise<void> {
    return this.#intake.shutdown();
  }

  /** Returns counts and states as they are now. Later events do not change what it returned. */
  stats(): FluentForwardStats {
    return this.#intake.pipeline.stats();
  }

  #export(records: ReadableLogRecord[], length: number, call: ExportCall): void {
    if (length === 0) {
      call.succeed();
      return;
    }
    if (this.#refuse(call, length, length)) return;
    const batch = this.#intake.encode(records);
    // No receiver has to acknowledge what the layout leaves out.
    const wanted = length - batch.filtered;
    const encoded = wanted - batch.dropped;
    if (batch.chunks.length === 0) {
      endUnsent(call, batch, wanted);
      return;
    }
    // The encoder calls the application's own code, which may have shut the exporter down.
    if (this.#refuse(call, wanted, encoded)) {
      for (const chunk of batch.chunks) chunk.release();
      return;
    }
    call.hold(encoded);
    this.#intake.send(batch.chunks, (outcome) => call.conclude(outcome, wanted));
  }

  /** Fails an export that cannot be taken now. Returns whether it did. `failed` of its records do not count as dropped. */
  #refuse(call: ExportCall, records: number, failed: number): boolean {
    const { config, pipeline, refusal } = this.#intake;
    if (refusal === undefined) return false;
    call.fail(refusal.code, describeFailure(refusal, config), {
      records,
      failed: unsent(failed),
      cause: pipeline.lastError,
    });
    return true;
  }
}

/** Ends an export of which nothing is left to send. */
function endUnsent(call: ExportCall, { dropped, dropReason }: EncodedBatch, records: number): void {
  if (dropped === 0) call.succeed();
  else {
    const reason = `no record could be encoded: ${dropReason}`;
    call.fail('FLUENT_FORWARD_UNENCODABLE', reason, { records, failed: unsent(0) });
  }
}

/** Records that no chunk carries. */
function unsent(records: number): Volume {
  return { records, bytes: 0, rawBytes: 0 };
}
