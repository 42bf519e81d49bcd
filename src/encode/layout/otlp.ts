import { createHash } from 'node:crypto';
import { encode } from '@msgpack/msgpack';
import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import type { WallTime } from '../../clock.ts';
import { BufferPool } from '../buffer-pool.ts';
import { DeepCopy } from '../deep-copy.ts';
import { copyOf, encodeFields, type Fields, field, hasField, isObject, mapField } from '../field.ts';
import { IdentityCache } from '../identity-cache.ts';
import { OtlpValueWriter } from '../otlp-value.ts';
import { RECORD_UID, RecordUids } from '../record-uid.ts';
import { isComplete, type Resource, selectResource } from '../resource.ts';
import { type Scope, scopeFields } from '../scope.ts';
import { BINARY, spanContext } from '../span-context.ts';
import { entryTime, unixNanos, writeEntryTime } from '../time.ts';
import type { ValueWriter } from '../value.ts';
import { Writer } from '../writer.ts';
import { KEY, keyOf } from './keys.ts';
import type { Group, Layout, LayoutOptions, NamedLayout } from './layout.ts';

/** Attributes for the fields that Fluent Bit drops. */
const EVENT_NAME = 'otel.event.name';
const DROPPED_ATTRIBUTES_COUNT = 'otel.dropped_attributes_count';

const EVENT_NAME_KEY = keyOf(EVENT_NAME);
const DROPPED_ATTRIBUTES_COUNT_KEY = keyOf(DROPPED_ATTRIBUTES_COUNT);
const TIMESTAMP_KEY = keyOf('timestamp');
const SCHEMA_URL_KEY = keyOf('schema_url');

/** The beginnings of `{ "otlp": … }` and `{ "log": … }`, without the value. */
const METADATA = Uint8Array.of(0x81, ...encode('otlp'));
const BODY = Uint8Array.of(0x81, ...encode('log'));

/** The number of containers around the fields of the `otlp` map: entry, time and metadata, metadata, the map itself. */
const FIELD_DEPTH = 4;
/** The number of containers around the body: entry and record. */
const BODY_DEPTH = 2;
/**
 * The number of containers around the fields of a group's resource or scope: entry, record, the resource or scope
 * itself.
 */
const GROUP_FIELD_DEPTH = 3;

/** The seconds of the two entries around a group. No record has such a time. */
export const GROUP_START = 0xffffffff;
export const GROUP_END = 0xfffffffe;

export interface OtlpLayoutOptions extends LayoutOptions {
  /** Whether the event name is also sent as an attribute. */
  readonly eventNameAttribute: boolean;
  /** Called for each record whose event name is not sent as an attribute. */
  readonly onEventName: () => void;
}

/**
 * The format that Fluent Bit itself sends for OTLP logs, and converts to OTLP again: `[[time, metadata], { "log": body
 * }]`.
 */
export class OtlpLayout implements Layout {
  readonly #options: OtlpLayoutOptions;
  readonly #uids: RecordUids | undefined;
  readonly #staticAttributes: readonly (readonly [name: string, field: Fields])[];
  readonly #resources: IdentityCache<object, IdentityCache<object, Group>>;

  constructor(options: OtlpLayoutOptions) {
    this.#options = options;
    this.#uids = options.recordUid ? new RecordUids() : undefined;
    this.#staticAttributes = Object.entries(copyOf(options.fields) ?? {}).map(([name, value]) => [
      name,
      this.#encode((values) => values.properties({ [name]: value }, FIELD_DEPTH + 1)),
    ]);
    this.#resources = new IdentityCache(
      (resource) => this.#groupsOf(resource as Resource),
      (resource) => isComplete(resource as Resource),
    );
  }

  values(writer: Writer): ValueWriter {
    return new OtlpValueWriter(writer, this.#options.maxStringBytes);
  }

  groupOf(resource: Resource | undefined, scope: Scope | undefined): Group {
    const groups = this.#resources.of(isObject(resource) ? resource : NOTHING);
    return groups.of(isObject(scope) ? scope : NOTHING);
  }

  /** The resource is in the group, and not in the entry. */
  complete(writer: Writer, entry: Uint8Array): void {
    writer.raw(entry);
  }

  write(values: ValueWriter, record: ReadableLogRecord, now: WallTime): boolean {
    const { writer } = values;
    values.startRecord();
    writer.arrayHeader(2);
    writer.arrayHeader(2);
    writeEntryTime(writer, record.hrTime, record.hrTimeObserved, now);
    writer.raw(METADATA);
    const start = writer.startMap();
    let size = 0;
    if (unixNanos(writer, KEY.observed_timestamp, record.hrTimeObserved)) size++;
    if (unixNanos(writer, TIMESTAMP_KEY, record.hrTime)) size++;
    size += field(values, KEY.severity_number, record.severityNumber, FIELD_DEPTH);
    size += field(values, KEY.severity_text, record.severityText, FIELD_DEPTH);
    // Only an id needs the time.
    const time = this.#uids === undefined ? now : entryTime(record.hrTime, record.hrTimeObserved, now);
    size += this.#attributes(values, record, time);
    size += spanContext(BINARY, writer, record.spanContext);
    size += field(values, KEY.event_name, record.eventName, FIELD_DEPTH);
    writer.endMap(start, size);
    writer.raw(BODY);
    values.value(record.body, BODY_DEPTH);
    return true;
  }

  #attributes(values: ValueWriter, record: ReadableLogRecord, time: WallTime): 0 | 1 {
    const { writer } = values;
    const { attributes, eventName, droppedAttributesCount } = record;
    const before = writer.position;
    writer.raw(KEY.attributes.bytes);
    const start = writer.startMap();
    let size = 0;
    if (this.#uids !== undefined) size = this.#uids.write(values, attributes, time, FIELD_DEPTH + 1);
    else if (isObject(attributes)) size = values.properties(attributes, FIELD_DEPTH + 1);
    for (const [name, { bytes }] of this.#staticAttributes) {
      if (hasField(attributes, name)) continue;
      writer.raw(bytes);
      size++;
    }
    if (eventName) size += this.#eventName(values, attributes, eventName);
    if (droppedAttributesCount && !hasField(attributes, DROPPED_ATTRIBUTES_COUNT)) {
      size += field(values, DROPPED_ATTRIBUTES_COUNT_KEY, droppedAttributesCount, FIELD_DEPTH + 1);
    }
    writer.endMap(start, size);
    if (size > 0) return 1;
    writer.position = before;
    return 0;
  }

  #eventName(values: ValueWriter, attributes: object | undefined, eventName: string): 0 | 1 {
    if (!this.#options.eventNameAttribute) {
      this.#options.onEventName();
      return 0;
    }
    if (hasField(attributes, EVENT_NAME)) return 0;
    return field(values, EVENT_NAME_KEY, eventName, FIELD_DEPTH + 1);
  }

  /** The groups of a resource, by scope. */
  #groupsOf(resource: Resource): IdentityCache<object, Group> {
    const { attributes, schemaUrl } = selectResource(resource, this.#options.resourceAttributes);
    const resourceMap = this.#groupPart((values) => {
      const size = mapField(values, KEY.attributes, sorted(attributes), GROUP_FIELD_DEPTH);
      return size + field(values, SCHEMA_URL_KEY, schemaUrl, GROUP_FIELD_DEPTH);
    });
    return new IdentityCache((scope) => {
      const { attributes, ...named } = scopeFields(scope as Scope);
      const scopeMap = this.#groupPart((values) => {
        const size = values.properties(named, GROUP_FIELD_DEPTH);
        return size + mapField(values, KEY.attributes, sorted(attributes), GROUP_FIELD_DEPTH);
      });
      return group(resourceMap, scopeMap);
    });
  }

  /** Encodes a map of a group's header, with the fields that `write` writes. */
  #groupPart(write: (values: ValueWriter) => number): Uint8Array {
    return this.#encode((values) => {
      const start = values.writer.startMap();
      values.writer.endMap(start, write(values));
      return 1;
    }).bytes;
  }

  #encode(write: (values: ValueWriter) => number): Fields {
    return encodeFields((writer) => this.values(writer), write);
  }
}

/** Used if a record has no resource or no scope. */
const NOTHING = {};

/** Sorts the keys at every level, so that objects with the same content become the same bytes. */
function sorted(attributes: object | undefined): object | undefined {
  return new DeepCopy(sortedCopyOf).fields(attributes);
}

function sortedCopyOf(map: unknown, keys?: readonly string[]): Record<string, unknown> | undefined {
  const fields = copyOf(map, keys);
  return fields && Object.fromEntries(Object.entries(fields).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function group(resource: Uint8Array, scope: Uint8Array): Group {
  const [resourceId, scopeId] = [contentId(resource), contentId(scope)];
  const header = encoded((writer) => {
    marker(writer, GROUP_START);
    writer.raw(encode({ schema: 'otlp', resource_id: resourceId, scope_id: scopeId }));
    const start = writer.startMap();
    writer.raw(KEY.resource.bytes);
    writer.raw(resource);
    writer.raw(KEY.scope.bytes);
    writer.raw(scope);
    writer.endMap(start, 2);
  });
  return { key: `${resourceId}.${scopeId}`, header, end: END };
}

const END = encoded((writer) => {
  marker(writer, GROUP_END);
  writer.raw(encode({}));
  writer.raw(encode({}));
});

/** Writes the beginning of an entry around a group, up to its metadata. */
function marker(writer: Writer, seconds: number): void {
  writer.arrayHeader(2);
  writer.arrayHeader(2);
  writer.eventTime(seconds, 0);
}

const ID_BYTES = 6;

/** A number below 2^48 that is the same for the same content, in every process. */
function contentId(content: Uint8Array): number {
  return createHash('sha256').update(content).digest().readUIntBE(0, ID_BYTES);
}

function encoded(write: (writer: Writer) => void): Uint8Array {
  const writer = new Writer(new BufferPool(), 1024);
  write(writer);
  return Uint8Array.from(writer.buffer.subarray(0, writer.position));
}

const EVENT_NAME_WARNING =
  'log records have event names, which Fluent Bit drops; set eventNameAttribute to true to send them ' +
  `as the attribute ${EVENT_NAME} too, or to false if they may be lost`;

export const otlpLayout: NamedLayout = {
  create: (options, warn) =>
    new OtlpLayout({
      ...options,
      eventNameAttribute: options.eventNameAttribute === true,
      onEventName:
        options.eventNameAttribute === undefined ? once(() => warn('event name', EVENT_NAME_WARNING)) : () => {},
    }),
  isOwnField: (name, { eventNameAttribute, recordUid }) =>
    name === DROPPED_ATTRIBUTES_COUNT ||
    (eventNameAttribute === true && name === EVENT_NAME) ||
    (recordUid && name === RECORD_UID),
  ackCaveat: 'Fluent Bit understands it; others may do so and lose parts of it',
};

function once(callback: () => void): () => void {
  let called = false;
  return () => {
    if (called) return;
    called = true;
    callback();
  };
}
