import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import type { WallTime } from '../../clock.ts';
import type { ResourceAttributes } from '../resource.ts';
import type { ValueWriter } from '../value.ts';
import type { Writer } from '../writer.ts';

/** What a layout can be told. */
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

/** Entries around those of records that belong together, within each message. */
export interface Group {
  /** The same for groups of the same content. */
  readonly key: string;
  /** The entry before them. */
  readonly header: Uint8Array;
  /** The entry behind them. */
  readonly end: Uint8Array;
}

/** How a log record becomes an entry of a Forward message. */
export interface Layout {
  /** A writer of values as this layout has them. */
  values(writer: Writer): ValueWriter;
  /**
   * Writes one entry, and tells whether it did: a layout may leave a record out. When it throws or
   * writes none, what it has written so far is for the caller to take back.
   */
  write(values: ValueWriter, record: ReadableLogRecord, now: WallTime): boolean;
  /** The group that a record's entry has to stand in; absent where the layout has none. May throw. */
  groupOf?(record: ReadableLogRecord): Group;
}

/** Thrown for a record that the layout cannot make an entry of. */
export class UnencodableError extends Error {
  override readonly name = 'UnencodableError';
}
