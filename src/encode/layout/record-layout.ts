import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import type { WallTime } from '../../clock.ts';
import { encodeFields, type Fields, field, isObject, NO_FIELDS } from '../field.ts';
import { IdentityCache } from '../identity-cache.ts';
import { RecordUids } from '../record-uid.ts';
import { isComplete, type Resource, selectResource } from '../resource.ts';
import { type Scope, type ScopeFields, scopeFields } from '../scope.ts';
import { spanContext } from '../span-context.ts';
import { entryTime, Rfc3339, writeEntryTime } from '../time.ts';
import { ValueWriter } from '../value.ts';
import type { Writer } from '../writer.ts';
import { KEY } from './keys.ts';
import type { Layout, LayoutOptions } from './layout.ts';

/** An entry is an array and a map: what is in the record's fields stands inside two containers. */
export const FIELD_DEPTH = 2;

/** `[time, record]`; where attributes, resource and scope stand in the record is left to others. */
export abstract class RecordLayout implements Layout {
  protected readonly options: LayoutOptions;
  protected readonly uids: RecordUids | undefined;
  readonly #observed: Rfc3339 = new Rfc3339();
  readonly #resources: IdentityCache<Resource, Fields>;
  readonly #scopes: IdentityCache<Scope, Fields>;
  readonly #staticFields: Fields;

  constructor(options: LayoutOptions) {
    this.options = options;
    this.uids = options.recordUid ? new RecordUids() : undefined;
    this.#resources = new IdentityCache((resource) => this.#resourceFields(resource), isComplete);
    this.#scopes = new IdentityCache((scope) =>
      this.#encode((writer, values) => this.scope(writer, values, scopeFields(scope))),
    );
    this.#staticFields = this.#encode((_, values) => values.properties(options.fields, FIELD_DEPTH));
  }

  /** Writes the attributes and, if wanted, the record's id; returns how many fields of the record that is. */
  protected abstract attributes(
    writer: Writer,
    values: ValueWriter,
    attributes: object | undefined,
    time: WallTime,
  ): number;

  /** Writes a resource's attributes; returns how many fields of the record that is. */
  protected abstract resource(writer: Writer, values: ValueWriter, attributes: object | undefined): number;

  /** Writes a scope; returns how many fields of the record that is. */
  protected abstract scope(writer: Writer, values: ValueWriter, scope: ScopeFields): number;

  values(writer: Writer): ValueWriter {
    return new ValueWriter(writer, this.options.maxStringBytes);
  }

  write(writer: Writer, values: ValueWriter, record: ReadableLogRecord, now: WallTime): boolean {
    values.startRecord();
    writer.arrayHeader(2);
    writeEntryTime(writer, record.hrTime, record.hrTimeObserved, now);
    const start = writer.startMap();
    let size: number = body(writer, values, record.body);
    size += field(writer, values, KEY.severity_text, record.severityText, FIELD_DEPTH);
    size += field(writer, values, KEY.severity_number, record.severityNumber, FIELD_DEPTH);
    size += field(writer, values, KEY.event_name, record.eventName, FIELD_DEPTH);
    size += spanContext(writer, record.spanContext);
    if (this.#observed.write(writer, KEY.observed_timestamp, record.hrTimeObserved)) size++;
    // Only an id needs it.
    const time = this.uids === undefined ? now : entryTime(record.hrTime, record.hrTimeObserved, now);
    size += this.attributes(writer, values, record.attributes, time);
    const resource = isObject(record.resource) ? this.#resources.of(record.resource) : NO_FIELDS;
    writer.raw(resource.bytes);
    const scope = isObject(record.instrumentationScope) ? this.#scopes.of(record.instrumentationScope) : NO_FIELDS;
    writer.raw(scope.bytes);
    const dropped = record.droppedAttributesCount;
    if (dropped) size += field(writer, values, KEY.dropped_attributes_count, dropped, FIELD_DEPTH);
    writer.raw(this.#staticFields.bytes);
    writer.endMap(start, size + resource.size + scope.size + this.#staticFields.size);
    return true;
  }

  #resourceFields(resource: Resource): Fields {
    const { attributes, schemaUrl } = selectResource(resource, this.options.resourceAttributes);
    return this.#encode((writer, values) => {
      const size = this.resource(writer, values, attributes);
      return size + field(writer, values, KEY.resource_schema_url, schemaUrl, FIELD_DEPTH);
    });
  }

  #encode(write: (writer: Writer, values: ValueWriter) => number): Fields {
    return encodeFields((writer) => this.values(writer), write);
  }
}

/** A string goes to `message`, all else to `body`, so that neither key ever holds two types. */
function body(writer: Writer, values: ValueWriter, body: unknown): 0 | 1 {
  if (typeof body !== 'string') return field(writer, values, KEY.body, body, FIELD_DEPTH);
  writer.raw(KEY.message);
  values.string(body);
  return 1;
}
