import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import type { WallTime } from '../../clock.ts';
import type { ResourceAttributes } from '../resource.ts';
import type { ValueWriter } from '../value.ts';
import type { Writer } from '../writer.ts';

/** The options of all layouts. */
export interface LayoutOptions {
  readonly maxStringBytes: number;
  readonly resourceAttributes: ResourceAttributes;
  /** Fields that every entry gets. */
  readonly fields: Readonly<Record<string, unknown>>;
  readonly recordUid: boolean;
  /** Whether the layout `otlp` also sends event names as attributes. If `undefined`, it does not, and warns once. */
  readonly eventNameAttribute: boolean | undefined;
}

/** A layout that the option `layout` selects by a name. */
export interface NamedLayout {
  create(options: LayoutOptions, warn: (cause: string, message: string) => void): Layout;
  /** Whether the layout writes a field of this name itself. The name must not be that of a static field then. */
  isOwnField(name: string, options: LayoutOptions): boolean;
  /**
   * Why an ack does not prove that the receiver understands the layout. Follows "acknowledged" in the report of doctor,
   * which tries every layout that has one.
   */
  readonly ackCaveat?: string;
}

/** Two entries around the entries of records that belong together. Each message with such records contains them. */
export interface Group {
  /** Groups with the same content have the same key. */
  readonly key: string;
  /** The entry before the records. */
  readonly header: Uint8Array;
  /** The entry after the records. */
  readonly end: Uint8Array;
}

/** Converts log records to entries of Forward messages. */
export interface Layout {
  /** Makes a writer of values for this layout. */
  values(writer: Writer): ValueWriter;
  /**
   * Writes one entry. Returns false if the layout leaves the record out. If `write()` throws or returns false, the
   * caller has to remove the bytes that were written.
   */
  write(values: ValueWriter, record: ReadableLogRecord, now: WallTime): boolean;
  /** Returns the group of a record's entry. Absent if the layout has no groups. May throw. */
  groupOf?(record: ReadableLogRecord): Group;
}

/** Thrown if the layout cannot make an entry of a record. */
export class UnencodableError extends Error {
  override readonly name = 'UnencodableError';
}
