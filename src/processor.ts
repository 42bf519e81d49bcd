import type { LogRecordProcessor } from '@opentelemetry/sdk-logs';
import type { FluentForwardLogRecordProcessorOptions } from './config/options.ts';
import { createRecordIntake, type Dependencies } from './pipeline/create.ts';
import type { RecordIntake } from './pipeline/record-intake.ts';
import type { FluentForwardProcessorStats } from './stats.ts';

type LogRecord = Parameters<LogRecordProcessor['onEmit']>[0];

/**
 * Sends log records to Fluent Bit, Fluentd and other receivers of the Forward protocol. Put processors that change records
 * (redaction, enrichment) **before** this one in `processors`: it encodes a record when it is emitted, so that later
 * processors do not change what is sent. (Behind `BatchLogRecordProcessor` they did.)
 *
 * Records are kept, and sent again over other connections, until a receiver has acknowledged them. A record is only
 * dropped for a {@link DropReason}, and each loss is counted in {@link stats} and reported: the first one of a process as
 * a process warning. What is held when the process ends is sent then: see `flushAtExit`, and {@link flushOnSignals}.
 *
 * @example
 * new LoggerProvider({ processors: [new FluentForwardLogRecordProcessor()] })
 */
export class FluentForwardLogRecordProcessor implements LogRecordProcessor {
  /** `otel.component.name` in its metrics, and `exporter` in the messages of the diagnostics channels. */
  readonly name: string;
  /** The configured endpoints, with commas between them. */
  readonly endpoint: string;
  readonly #intake: RecordIntake;

  /**
   * @throws TypeError for an unknown option or a value of the wrong type, RangeError for a value that
   * is not allowed. Opens no connection: the first record does.
   */
  constructor(options?: FluentForwardLogRecordProcessorOptions);
  /** @internal */
  constructor(options: FluentForwardLogRecordProcessorOptions, dependencies: Dependencies);
  constructor(options: FluentForwardLogRecordProcessorOptions = {}, dependencies?: Dependencies) {
    this.#intake = createRecordIntake(options, dependencies);
    const { pipeline } = this.#intake;
    this.name = pipeline.name;
    this.endpoint = pipeline.endpoint;
    pipeline.startMetrics();
  }

  /**
   * Encodes the record, and keeps nothing of it. Never throws. The record is dropped, and counted, if it cannot be
   * encoded, if the memory bound does not allow it (`maxInFlightBytes`), or after {@link shutdown}.
   */
  onEmit(record: LogRecord): void {
    this.#intake.emit(record);
  }

  /**
   * Sends what was emitted before, and resolves when it is settled. After `flushTimeoutMillis` without an ack, or after
   * 25 s in all, it logs a warning with the number of records that are left, and resolves. These records are kept, and
   * sent later. Never rejects. Holds the process until then.
   *
   * @param options `timeoutMillis`: a shorter limit for this flush in all.
   */
  forceFlush(options?: { timeoutMillis?: number }): Promise<void> {
    return this.#intake.flush(options?.timeoutMillis);
  }

  /**
   * Flushes as {@link forceFlush} does, and closes the connections. What is not acknowledged then is lost, and counted as
   * `shut_down`; so are later records. Never rejects. Later calls return the same promise.
   */
  shutdown(): Promise<void> {
    return this.#intake.shutdown();
  }

  /** Returns counts and states as they are now. Later events do not change what it returned. */
  stats(): FluentForwardProcessorStats {
    return this.#intake.stats();
  }
}
