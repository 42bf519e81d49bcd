import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import type { WallTime } from '../../clock.ts';
import { ignoreRejection, messageOf } from '../../errors.ts';
import { isPlainObject } from '../../plain-object.ts';
import { DeepCopy } from '../deep-copy.ts';
import { describe } from '../describe.ts';
import { copyOf, isObject } from '../field.ts';
import { isRecordUid, RECORD_UID, RecordUids } from '../record-uid.ts';
import { selectResource } from '../resource.ts';
import { scopeFields } from '../scope.ts';
import { spanContextFields } from '../span-context.ts';
import { entryTime, rfc3339 } from '../time.ts';
import { MAX_ELEMENTS, ValueWriter } from '../value.ts';
import type { Writer } from '../writer.ts';
import { type Layout, type LayoutOptions, UnencodableError } from './layout.ts';

/**
 * Makes the entry of a record. `entry` is what the default layout makes, as an object of its own with
 * values that are not encoded yet; instances in it (a `Date`, a `Map`, a `Buffer`) are those of the record.
 * A plain object is sent, `undefined` leaves the record out.
 */
export type LayoutFunction = (record: ReadableLogRecord, entry: Record<string, unknown>) => object | undefined;

/** `[time, record]`, with what a function of the application makes of the record. */
export class CustomLayout implements Layout {
  readonly #makeEntry: LayoutFunction;
  readonly #options: LayoutOptions;
  readonly #uids: RecordUids | undefined;

  constructor(makeEntry: LayoutFunction, options: LayoutOptions) {
    this.#makeEntry = makeEntry;
    this.#options = options;
    this.#uids = options.recordUid ? new RecordUids() : undefined;
  }

  values(writer: Writer): ValueWriter {
    return new ValueWriter(writer, this.#options.maxStringBytes);
  }

  write(writer: Writer, values: ValueWriter, record: ReadableLogRecord, now: WallTime): boolean {
    values.startRecord();
    const time = entryTime(record.hrTime, record.hrTimeObserved, now);
    const entry = this.#call(record, this.#entry(record, time));
    if (entry === undefined) return false;
    writer.arrayHeader(2);
    writer.eventTime(time[0], time[1]);
    values.map(entry, 1);
    return true;
  }

  #call(record: ReadableLogRecord, entry: Record<string, unknown>): object | undefined {
    let made: unknown;
    try {
      made = this.#makeEntry(record, entry);
    } catch (error) {
      throw new UnencodableError(`the layout function threw: ${messageOf(error)}`);
    }
    if (made === undefined || isPlainObject(made)) return made;
    ignoreRejection(made);
    throw new UnencodableError(`the layout function returned ${describe(made)}, neither a plain object nor undefined`);
  }

  /** What the default layout writes, with the same keys in the same order. */
  #entry(record: ReadableLogRecord, time: WallTime): Record<string, unknown> {
    const { body, resource, instrumentationScope: scope } = record;
    const { resourceAttributes, fields } = this.#options;
    const { attributes, schemaUrl } = isObject(resource) ? selectResource(resource, resourceAttributes) : NO_RESOURCE;
    const copy = new DeepCopy();
    const entry = {
      [typeof body === 'string' ? 'message' : 'body']: copy.of(body),
      severity_text: record.severityText,
      severity_number: record.severityNumber,
      event_name: record.eventName,
      ...spanContextFields(record.spanContext),
      observed_timestamp: rfc3339(record.hrTimeObserved),
      attributes: this.#attributes(copy.fields(record.attributes), time),
      resource: copy.fields(attributes),
      resource_schema_url: schemaUrl,
      scope: isObject(scope) ? scopeOf(scope, copy) : undefined,
      dropped_attributes_count: record.droppedAttributesCount || undefined,
      ...copy.fields(fields),
    };
    return copyOf(entry) ?? {};
  }

  #attributes(attributes: Record<string, unknown> | undefined, time: WallTime): object | undefined {
    if (this.#uids === undefined) return attributes;
    const { [RECORD_UID]: own, ...others } = attributes ?? {};
    const isCut = Object.keys(others).length >= MAX_ELEMENTS;
    if (isRecordUid(own) && !isCut) return attributes;
    const uid = isRecordUid(own) ? own : this.#uids.next(time);
    // Of too many attributes the last ones are not written.
    return isCut ? { [RECORD_UID]: uid, ...others } : { ...others, [RECORD_UID]: uid };
  }
}

const NO_RESOURCE = { attributes: undefined, schemaUrl: undefined };

function scopeOf(scope: ReadableLogRecord['instrumentationScope'], copy: DeepCopy): object | undefined {
  const { attributes, ...named } = scopeFields(scope);
  return copyOf({ ...named, attributes: copy.fields(attributes) });
}
