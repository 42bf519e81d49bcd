import { types } from 'node:util';
import type { ExportResult, ExportResultCode } from '@opentelemetry/core';
import { nextTick } from './clock.ts';
import type { Outcome } from './delivery/outcome.ts';
import { type ExportErrorCode, FluentForwardConnectionError, FluentForwardExportError } from './errors.ts';
import { describeFailure } from './export-failure.ts';
import type { BatchIntake } from './pipeline/batch-intake.ts';
import { printableValue } from './printable.ts';
import type { Volume } from './stats.ts';

type ResultCallback = (result: ExportResult) => void;

// `@opentelemetry/core` need not be installed. These values are part of its contract.
const SUCCESS: ExportResultCode.SUCCESS = 0;
const FAILED: ExportResultCode.FAILED = 1;

/** The records of a failed export. */
interface FailedBatch {
  readonly records: number;
  readonly acknowledgedRecords?: number;
  /** What counts as failed. Records that could not be encoded count as dropped instead. */
  readonly failed: Volume;
  readonly cause?: unknown;
}

/** One call of `export()`, which has one result. */
export class ExportCall {
  readonly #intake: BatchIntake;
  #callback: ResultCallback;
  #inFlightRecords = 0;
  #hasResult = false;

  constructor(intake: BatchIntake, callback: ResultCallback) {
    this.#intake = intake;
    this.#callback = callback;
  }

  /** Measures how long the export takes, if there are metrics. */
  measure(): void {
    this.#callback = this.#intake.pipeline.metrics?.timed(this.#callback) ?? this.#callback;
  }

  /** Counts records as in flight until there is a result. */
  hold(records: number): void {
    this.#inFlightRecords = records;
    this.#intake.pipeline.counters.inFlightRecords += records;
  }

  /** Ends the call as `outcome` says. `records`: the number of records in the batch, without those that were left out. */
  conclude(outcome: Outcome, records: number): void {
    if (this.#hasResult) return;
    const { config, pipeline } = this.#intake;
    const { counters } = pipeline;
    if (outcome.kind === 'acknowledged') {
      counters.exportedRecords += this.#inFlightRecords;
      this.succeed();
    } else {
      counters.exportedRecords += outcome.acknowledgedRecords;
      this.fail(outcome.code, describeFailure(outcome, config), { records, ...outcome });
    }
  }

  succeed(): void {
    this.#end({ code: SUCCESS });
  }

  fail(code: ExportErrorCode, reason: string, batch: FailedBatch): void {
    const { counters, endpoint } = this.#intake.pipeline;
    const { records, acknowledgedRecords = 0, failed, cause } = batch;
    counters.failed(code, failed);
    const fault = cause instanceof FluentForwardConnectionError ? `; last fault: ${cause.message}` : '';
    const error = new FluentForwardExportError(
      code,
      `${records - acknowledgedRecords} of ${records} log records were not acknowledged by ${endpoint}: ${reason}${fault}`,
      { records, acknowledgedRecords, endpoint, cause },
    );
    this.#intake.failures.failed(error);
    this.#end({ code: FAILED, error });
  }

  /** Calls back in a later turn. Reports what the callback throws. */
  #end(result: ExportResult): void {
    this.#hasResult = true;
    this.#intake.pipeline.counters.inFlightRecords -= this.#inFlightRecords;
    const threw = (error: unknown) =>
      this.#intake.pipeline.warn('callback', `the result callback of export() threw: ${printableValue(error)}`);
    nextTick(() => {
      try {
        const returned: unknown = this.#callback(result);
        if (types.isPromise(returned)) void returned.catch(threw);
      } catch (error) {
        threw(error);
      }
    });
  }
}
