import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import type { WallTime } from '../../clock.ts';
import { isObject } from '../field.ts';
import { RecordUids } from '../record-uid.ts';
import { type Resource, selectResource } from '../resource.ts';
import type { Scope } from '../scope.ts';
import { entryTime, writeEntryTime } from '../time.ts';
import { ValueWriter } from '../value.ts';
import type { Writer } from '../writer.ts';
import { KEY, type Key } from './keys.ts';
import type { Layout, LayoutOptions } from './layout.ts';

/**
 * `[time, record]`. Defines the fields of the record: their order, and when each is absent. `Out` is where they
 * are put: the bytes of a message, or an object for a layout function. The methods that put fields return how many.
 */
export abstract class RecordLayout<Out> implements Layout {
  protected readonly options: LayoutOptions;
  protected readonly uids: RecordUids | undefined;

  constructor(options: LayoutOptions) {
    this.options = options;
    this.uids = options.recordUid ? new RecordUids() : undefined;
  }

  values(writer: Writer): ValueWriter {
    return new ValueWriter(writer, this.options.maxStringBytes);
  }

  write(values: ValueWriter, record: ReadableLogRecord, now: WallTime, resource: Resource | undefined): boolean {
    const { writer } = values;
    values.startRecord();
    writer.arrayHeader(2);
    writeEntryTime(writer, record.hrTime, record.hrTimeObserved, now);
    // Only an id needs the time.
    const time = this.uids === undefined ? now : entryTime(record.hrTime, record.hrTimeObserved, now);
    return this.record(values, record, time, resource);
  }

  /** Writes the record. Returns false if it is left out. */
  protected abstract record(
    values: ValueWriter,
    record: ReadableLogRecord,
    time: WallTime,
    resource: Resource | undefined,
  ): boolean;

  /** Puts all fields of a record. */
  protected fields(out: Out, record: ReadableLogRecord, time: WallTime, resource: Resource | undefined): number {
    const { body } = record;
    // One key never holds two types: `message` is always a string, and `body` never is.
    let size = this.field(out, typeof body === 'string' ? KEY.message : KEY.body, body);
    size += this.field(out, KEY.severity_text, record.severityText);
    size += this.field(out, KEY.severity_number, record.severityNumber);
    size += this.field(out, KEY.event_name, record.eventName);
    size += this.spanContext(out, record.spanContext);
    size += this.time(out, KEY.observed_timestamp, record.hrTimeObserved);
    size += this.attributes(out, record.attributes, time);
    size += isObject(resource) ? this.resource(out, resource) : this.noResource(out);
    if (isObject(record.instrumentationScope)) size += this.scope(out, record.instrumentationScope);
    size += this.field(out, KEY.dropped_attributes_count, record.droppedAttributesCount || undefined);
    return size + this.staticFields(out);
  }

  /** Puts the fields of a resource. */
  protected resourceFields(out: Out, resource: Resource): number {
    const { attributes, schemaUrl } = selectResource(resource, this.options.resourceAttributes);
    return this.resourceAttributes(out, attributes) + this.field(out, KEY.resource_schema_url, schemaUrl);
  }

  /** Puts a value, unless it is `undefined`. */
  protected abstract field(out: Out, key: Key, value: unknown): number;

  protected abstract spanContext(out: Out, context: unknown): number;

  /** Puts a time in RFC 3339, unless it is unset or not a time. */
  protected abstract time(out: Out, key: Key, time: unknown): number;

  /** Puts the attributes and, if wanted, the record's id. `time` is the entry's. */
  protected abstract attributes(out: Out, attributes: object | undefined, time: WallTime): number;

  /** Called in place of {@link resource} if there is none. */
  protected noResource(_out: Out): 0 {
    return 0;
  }

  /** Puts the {@link resourceFields}. */
  protected abstract resource(out: Out, resource: Resource): number;

  protected abstract resourceAttributes(out: Out, attributes: object | undefined): number;

  protected abstract scope(out: Out, scope: Scope): number;

  /** Puts the fields that every entry gets. */
  protected abstract staticFields(out: Out): number;
}
