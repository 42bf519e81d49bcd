import type { Meter, Observable } from '@opentelemetry/api';
import type { Counters } from '../stats.ts';
import { createRecordInstruments, type RecordInstruments } from './instruments.ts';
import { failedRecords, type Reading, type RecordMetrics, readingsBy } from './record-metrics.ts';

/** The metrics of the records of an exporter: each one is counted when its export ends. */
export class ExporterRecords implements RecordMetrics {
  readonly #counters: Counters;
  readonly #instruments: RecordInstruments;

  constructor(meter: Meter, counters: Counters) {
    this.#counters = counters;
    this.#instruments = createRecordInstruments(meter);
  }

  get instruments(): Observable[] {
    return Object.values(this.#instruments);
  }

  read(): Reading[] {
    const { inFlightRecords, exportedRecords, filteredRecords } = this.#counters;
    const { inFlight, exported, dropped, filtered } = this.#instruments;
    return [
      [inFlight, inFlightRecords],
      [exported, exportedRecords],
      ...readingsBy(exported, 'error.type', failedRecords(this.#counters)),
      ...readingsBy(dropped, 'fluent_forward.drop.reason', droppedRecords(this.#counters)),
      [filtered, filteredRecords],
    ];
  }
}

/** The reasons are the codes of errors without their prefix, and `oversize`. */
function droppedRecords(counters: Counters): ReadonlyMap<string, number> {
  const records = new Map<string, number>();
  for (const [code, count] of failedRecords(counters)) {
    records.set(code.replace('FLUENT_FORWARD_', '').toLowerCase(), count);
  }
  if (counters.oversizeRecords > 0) {
    records.set('oversize', counters.oversizeRecords);
    records.set('unencodable', (records.get('unencodable') ?? 0) - counters.oversizeRecords);
  }
  return records;
}
