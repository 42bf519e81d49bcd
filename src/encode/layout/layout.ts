import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import type { WallTime } from '../../clock.ts';
import type { Resource, ResourceAttributes } from '../resource.ts';
import type { Scope } from '../scope.ts';
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

const NO_BYTES = new Uint8Array(0);

/** The group of all entries of a layout without groups. */
export const NO_GROUP: Group = { key: '', header: NO_BYTES, end: NO_BYTES };

/** The number of entries that a group has besides those of its records. */
export function markers({ header }: Group): 0 | 2 {
  return header.length > 0 ? 2 : 0;
}

/** Converts log records to entries of Forward messages. */
export interface Layout {
  /** Makes a writer of values for this layout. */
  values(writer: Writer): ValueWriter;
  /**
   * Writes one entry, with `resource` in place of the record's own. Returns false if the layout leaves the record out. If
   * `write()` throws or returns false, the caller has to remove the bytes that were written. Without a resource,
   * `values.gap` is the position at which {@link complete} can insert one.
   */
  write(values: ValueWriter, record: ReadableLogRecord, now: WallTime, resource: Resource | undefined): boolean;
  /**
   * Writes an entry that was written without a resource, and its resource. `gap` is the position of the resource in the
   * entry. Absent if the layout needs the resource when it writes the entry.
   */
  complete?(writer: Writer, entry: Uint8Array, gap: number, resource: Resource): void;
  /** Returns the group of an entry. Absent if the layout has no groups. May throw. */
  groupOf?(resource: Resource | undefined, scope: Scope | undefined): Group;
}

/** Thrown if the layout cannot make an entry of a record. */
export class UnencodableError extends Error {
  override readonly name = 'UnencodableError';
}
