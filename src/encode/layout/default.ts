import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import type { WallTime } from '../../clock.ts';
import { encodeFields, type Fields, field, isEmpty, isObject, mapField, NO_FIELDS } from '../field.ts';
import { IdentityCache } from '../identity-cache.ts';
import { spanContext } from '../span-context.ts';
import { Rfc3339, writeEntryTime } from '../time.ts';
import { ValueWriter } from '../value.ts';
import type { Writer } from '../writer.ts';
import { KEY } from './keys.ts';
import type { Layout } from './layout.ts';

/** An entry is an array and a map: what is in the record's fields stands inside two containers. */
const FIELD_DEPTH = 2;

type Resource = ReadableLogRecord['resource'];
type Scope = ReadableLogRecord['instrumentationScope'];

/** `[time, record]`, with attributes, resource and scope as maps. */
export class DefaultLayout implements Layout {
  readonly #maxStringBytes: number;
  readonly #observed: Rfc3339 = new Rfc3339();
  readonly #resources: IdentityCache<Resource, Fields>;
  readonly #scopes: IdentityCache<Scope, Fields>;

  constructor(maxStringBytes: number) {
    this.#maxStringBytes = maxStringBytes;
    this.#resources = new IdentityCache(
      ({ attributes }) => this.#mapField(KEY.resource, attributes),
      // Detectors may still be at work on it.
      ({ asyncAttributesPending }) => !asyncAttributesPending,
    );
    this.#scopes = new IdentityCache((scope) => this.#mapField(KEY.scope, scopeMap(scope)));
  }

  values(writer: Writer): ValueWriter {
    return new ValueWriter(writer, this.#maxStringBytes);
  }

  write(writer: Writer, values: ValueWriter, record: ReadableLogRecord, now: WallTime): boolean {
    values.startRecord();
    writer.arrayHeader(2);
    writeEntryTime(writer, record.hrTime, record.hrTimeObserved, now);
    const start = writer.startMap();
    let size = body(writer, values, record.body);
    size += field(writer, values, KEY.severity_text, record.severityText, FIELD_DEPTH);
    size += field(writer, values, KEY.severity_number, record.severityNumber, FIELD_DEPTH);
    size += field(writer, values, KEY.event_name, record.eventName, FIELD_DEPTH);
    size += spanContext(writer, record.spanContext);
    if (this.#observed.write(writer, KEY.observed_timestamp, record.hrTimeObserved)) size++;
    size += mapField(writer, values, KEY.attributes, record.attributes, FIELD_DEPTH);
    const resource = isObject(record.resource) ? this.#resources.of(record.resource) : NO_FIELDS;
    writer.raw(resource.bytes);
    const scope = isObject(record.instrumentationScope) ? this.#scopes.of(record.instrumentationScope) : NO_FIELDS;
    writer.raw(scope.bytes);
    size += resource.size + scope.size;
    const dropped = record.droppedAttributesCount;
    if (dropped) size += field(writer, values, KEY.dropped_attributes_count, dropped, FIELD_DEPTH);
    writer.endMap(start, size);
    return true;
  }

  #mapField(key: Uint8Array, map: object | undefined): Fields {
    return encodeFields(
      (writer) => this.values(writer),
      (writer, values) => mapField(writer, values, key, map, FIELD_DEPTH),
    );
  }
}

/** A string goes to `message`, all else to `body`, so that neither key ever holds two types. */
function body(writer: Writer, values: ValueWriter, body: unknown): 0 | 1 {
  if (typeof body !== 'string') return field(writer, values, KEY.body, body, FIELD_DEPTH);
  writer.raw(KEY.message);
  values.string(body);
  return 1;
}

function scopeMap({ name, version, schemaUrl, attributes }: Scope): object {
  return {
    name: name || undefined,
    version: version || undefined,
    schema_url: schemaUrl || undefined,
    attributes: isEmpty(attributes) ? undefined : attributes,
  };
}
