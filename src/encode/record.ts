import { encode } from '@msgpack/msgpack';
import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import type { WallTime } from '../clock.ts';
import { BufferPool } from './buffer-pool.ts';
import { Rfc3339, writeEntryTime } from './time.ts';
import { ValueWriter } from './value.ts';
import { Writer } from './writer.ts';

const KEY = {
  message: encode('message'),
  body: encode('body'),
  severityText: encode('severity_text'),
  severityNumber: encode('severity_number'),
  eventName: encode('event_name'),
  traceId: encode('trace_id'),
  spanId: encode('span_id'),
  traceFlags: encode('trace_flags'),
  observedTimestamp: encode('observed_timestamp'),
  attributes: encode('attributes'),
  resource: encode('resource'),
  scope: encode('scope'),
  droppedAttributesCount: encode('dropped_attributes_count'),
};

/** An entry is an array and a map: what is in the record's fields stands inside two containers. */
const FIELD_DEPTH = 2;

type Resource = ReadableLogRecord['resource'];
type Scope = ReadableLogRecord['instrumentationScope'];

/** The bytes of a map's field, key included, or of none. */
interface Field {
  readonly bytes: Uint8Array;
  readonly size: 0 | 1;
}

const NO_FIELD: Field = { bytes: new Uint8Array(0), size: 0 };

/** Writes log records as Forward entries, `[time, record]`, in the default layout. */
export class RecordEncoder {
  readonly #maxStringBytes: number;
  readonly #observed: Rfc3339 = new Rfc3339();
  // Resources and scopes keep their identity between records; nearly always it is the last one's.
  readonly #resources = new WeakMap<object, Field>();
  readonly #scopes = new WeakMap<object, Field>();
  #lastResource: Resource | undefined;
  #lastResourceField: Field = NO_FIELD;
  #lastScope: Scope | undefined;
  #lastScopeField: Field = NO_FIELD;

  constructor(maxStringBytes: number) {
    this.#maxStringBytes = maxStringBytes;
  }

  get maxStringBytes(): number {
    return this.#maxStringBytes;
  }

  /** Writes one entry. When it throws, what it has written so far is for the caller to take back. */
  write(writer: Writer, values: ValueWriter, record: ReadableLogRecord, now: WallTime): void {
    values.startRecord();
    writer.arrayHeader(2);
    writeEntryTime(writer, record.hrTime, record.hrTimeObserved, now);
    const start = writer.startMap();
    let size = this.#body(writer, values, record.body);
    size += field(writer, values, KEY.severityText, record.severityText);
    size += field(writer, values, KEY.severityNumber, record.severityNumber);
    size += field(writer, values, KEY.eventName, record.eventName);
    size += spanContext(writer, record.spanContext);
    if (this.#observed.write(writer, KEY.observedTimestamp, record.hrTimeObserved)) size++;
    size += mapField(writer, values, KEY.attributes, record.attributes);
    size += this.#resource(writer, record.resource);
    size += this.#scope(writer, record.instrumentationScope);
    const dropped = record.droppedAttributesCount;
    if (dropped) size += field(writer, values, KEY.droppedAttributesCount, dropped);
    writer.endMap(start, size);
  }

  /** A string goes to `message`, all else to `body`, so that neither key ever holds two types. */
  #body(writer: Writer, values: ValueWriter, body: unknown): 0 | 1 {
    if (typeof body !== 'string') return field(writer, values, KEY.body, body);
    writer.raw(KEY.message);
    values.string(body);
    return 1;
  }

  #resource(writer: Writer, resource: Resource): 0 | 1 {
    if (resource !== this.#lastResource || resource === undefined) {
      const cached = isObject(resource) ? this.#resources.get(resource) : NO_FIELD;
      this.#lastResourceField = cached ?? this.#encodeResource(resource);
      this.#lastResource = resource?.asyncAttributesPending ? undefined : resource;
    }
    writer.raw(this.#lastResourceField.bytes);
    return this.#lastResourceField.size;
  }

  #encodeResource(resource: Resource): Field {
    const encoded = this.#encodeField(KEY.resource, resource.attributes);
    // Detectors may still be at work on it.
    if (!resource.asyncAttributesPending) this.#resources.set(resource, encoded);
    return encoded;
  }

  #scope(writer: Writer, scope: Scope): 0 | 1 {
    if (scope !== this.#lastScope || scope === undefined) {
      const cached = isObject(scope) ? this.#scopes.get(scope) : NO_FIELD;
      this.#lastScopeField = cached ?? this.#encodeScope(scope);
      this.#lastScope = scope;
    }
    writer.raw(this.#lastScopeField.bytes);
    return this.#lastScopeField.size;
  }

  #encodeScope(scope: Scope): Field {
    const { name, version, schemaUrl, attributes } = scope;
    const encoded = this.#encodeField(KEY.scope, {
      name: name || undefined,
      version: version || undefined,
      schema_url: schemaUrl || undefined,
      attributes: isEmpty(attributes) ? undefined : attributes,
    });
    this.#scopes.set(scope, encoded);
    return encoded;
  }

  #encodeField(key: Uint8Array, map: object | undefined): Field {
    const writer = new Writer(new BufferPool(), 1024);
    const size = mapField(writer, new ValueWriter(writer, this.#maxStringBytes), key, map);
    if (size === 0) return NO_FIELD;
    return { bytes: Uint8Array.from(writer.buffer.subarray(0, writer.position)), size };
  }
}

/** Writes a field unless its value is `undefined`; returns how many it wrote. */
function field(writer: Writer, values: ValueWriter, key: Uint8Array, value: unknown): 0 | 1 {
  if (value === undefined) return 0;
  writer.raw(key);
  values.value(value, FIELD_DEPTH);
  return 1;
}

const EMPTY_MAP = 0x80;

/**
 * Writes a field that is always a map, however large the record is, or absent when there is nothing
 * in it; returns how many it wrote.
 */
function mapField(writer: Writer, values: ValueWriter, key: Uint8Array, map: object | undefined): 0 | 1 {
  if (!isObject(map)) return 0;
  const start = writer.position;
  writer.raw(key);
  const content = writer.position;
  values.map(map, FIELD_DEPTH);
  if (writer.position > content + 1 || writer.buffer[content] !== EMPTY_MAP) return 1;
  writer.position = start;
  return 0;
}

/** As OpenTelemetry's "Trace Context in non-OTLP Log Formats" names and writes the three fields. */
function spanContext(writer: Writer, context: ReadableLogRecord['spanContext']): number {
  if (!isObject(context)) return 0;
  const { traceId, spanId, traceFlags } = context;
  let size = 0;
  if (hexId(writer, KEY.traceId, traceId, 32)) size++;
  if (hexId(writer, KEY.spanId, spanId, 16)) size++;
  if (size > 0 && Number.isInteger(traceFlags)) {
    writer.raw(KEY.traceFlags);
    writer.string((traceFlags & 0xff).toString(16).padStart(2, '0'));
    size++;
  }
  return size;
}

const LOWER_CASE_BIT = 0x20;

/** Writes an id of `length` hexadecimal digits in lower case; nothing when it is not one, or all zeros. */
function hexId(writer: Writer, key: Uint8Array, id: unknown, length: 16 | 32): boolean {
  if (typeof id !== 'string' || id.length !== length) return false;
  const start = writer.position;
  writer.raw(key);
  writer.reserve(2 + length);
  const { buffer } = writer;
  let at = writer.position;
  if (length === 16) {
    buffer[at++] = 0xa0 | length;
  } else {
    buffer[at++] = 0xd9;
    buffer[at++] = length;
  }
  let isZero = true;
  for (let i = 0; i < length; i++) {
    let code = id.charCodeAt(i);
    if (code < 0x30 || code > 0x39) {
      code |= LOWER_CASE_BIT;
      if (code < 0x61 || code > 0x66) {
        writer.position = start;
        return false;
      }
    }
    if (code !== 0x30) isZero = false;
    buffer[at++] = code;
  }
  writer.position = isZero ? start : at;
  return !isZero;
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

function isEmpty(map: object | undefined): boolean {
  for (const key in map) if (Object.hasOwn(map, key)) return false;
  return true;
}
