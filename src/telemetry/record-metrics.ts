import type { Attributes, Observable } from '@opentelemetry/api';
import type { ExportErrorCode } from '../errors.ts';
import type { Counters } from '../stats.ts';

/** A number of a collection. The attributes of the component are added to its own. */
export type Reading = readonly [instrument: Observable, value: number, attributes?: Attributes];

/** The metrics of the records, which an exporter and a processor count in different ways. */
export interface RecordMetrics {
  readonly instruments: readonly Observable[];
  /** Reads the counters. */
  read(): Reading[];
}

/** One reading for each value of an attribute. */
export function readingsBy(instrument: Observable, attribute: string, values: Iterable<[string, number]>): Reading[] {
  return [...values].map(([value, count]) => [instrument, count, { [attribute]: value }]);
}

/** By the code of the error. Records that cannot be encoded have failed too, although their batch may have succeeded. */
export function failedRecords(counters: Counters): ReadonlyMap<ExportErrorCode, number> {
  const records = new Map([...counters.failures].map(([code, volume]) => [code, volume.records]));
  const unencodable = counters.droppedRecords + (records.get('FLUENT_FORWARD_UNENCODABLE') ?? 0);
  if (unencodable > 0) records.set('FLUENT_FORWARD_UNENCODABLE', unencodable);
  return records;
}
