import type { Meter, Observable } from '@opentelemetry/api';
import type { Counters, DropReason } from '../stats.ts';
import {
  createProcessorInstruments,
  createRecordInstruments,
  type ProcessorInstruments,
  type RecordInstruments,
} from './instruments.ts';
import { type MemoryUse, queueCapacity } from './queue-capacity.ts';
import { failedRecords, type Reading, type RecordMetrics, readingsBy } from './record-metrics.ts';

/**
 * The value of `error.type` that the semantic conventions reserve for a full queue. For other reasons, `error.type` is the
 * reason. `already_shutdown` does not fit: it excludes records that were emitted before the shutdown.
 */
const RESERVED_ERROR_TYPES: Partial<Record<DropReason, string>> = {
  shed: 'queue_full',
  memory: 'queue_full',
};

/** The metrics of the records of a processor: each one is counted when it is emitted, and when it is settled. */
export class ProcessorRecords implements RecordMetrics {
  readonly #counters: Counters;
  readonly #memory: MemoryUse;
  readonly #instruments: RecordInstruments & ProcessorInstruments;

  constructor(meter: Meter, counters: Counters, memory: MemoryUse) {
    this.#counters = counters;
    this.#memory = memory;
    this.#instruments = { ...createRecordInstruments(meter), ...createProcessorInstruments(meter) };
  }

  get instruments(): Observable[] {
    return Object.values(this.#instruments);
  }

  read(): Reading[] {
    return [...this.#readProcessing(), ...this.#readDelivery()];
  }

  #readProcessing(): Reading[] {
    const { acknowledged, dropped, emittedRecords, filteredRecords, heldRecords } = this.#counters;
    const { emitted, processed, queueSize, queueCapacity: capacity } = this.#instruments;
    const estimate = queueCapacity(this.#counters, this.#memory);
    return [
      [emitted, emittedRecords],
      [processed, acknowledged.records + filteredRecords],
      ...readingsBy(processed, 'error.type', byErrorType(dropped)),
      [queueSize, heldRecords],
      ...(estimate === undefined ? [] : [[capacity, estimate] as const]),
    ];
  }

  #readDelivery(): Reading[] {
    const { acknowledged, filteredRecords, heldRecords } = this.#counters;
    const { inFlight, exported, dropped, filtered } = this.#instruments;
    return [
      [inFlight, heldRecords],
      [exported, acknowledged.records],
      ...readingsBy(exported, 'error.type', failedRecords(this.#counters)),
      ...readingsBy(dropped, 'fluent_forward.drop.reason', byReason(this.#counters)),
      [filtered, filteredRecords],
    ];
  }
}

function byErrorType(dropped: Counters['dropped']): ReadonlyMap<string, number> {
  const records = new Map<string, number>();
  for (const [reason, count] of Object.entries(dropped) as [DropReason, number][]) {
    const type = RESERVED_ERROR_TYPES[reason] ?? reason;
    records.set(type, (records.get(type) ?? 0) + count);
  }
  return records;
}

/**
 * Contains every reason, also those without a record: a database that sees a counter for the first time does not know
 * that it has grown, so the first loss would be in no rate.
 */
function byReason({ dropped, oversizeRecords }: Counters): Iterable<[string, number]> {
  const unencodable = dropped.unencodable - oversizeRecords;
  return Object.entries({ ...dropped, unencodable, oversize: oversizeRecords });
}
