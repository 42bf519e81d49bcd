import type { LayoutName } from '../../src/encode/layout/layouts.ts';
import { JSON_FORM, type NormalForm, normalForm, normalMap, OTLP_FORM } from './normal-form.ts';
import type { DecodedEntry } from './records.ts';

type Time = readonly [number, number];
type Map = Record<string, unknown>;

/** A record with times that are valid and maps that are objects. */
export interface PlainRecord {
  readonly hrTime: Time;
  readonly hrTimeObserved: Time;
  readonly body?: unknown;
  readonly severityText?: string;
  readonly severityNumber?: number;
  readonly eventName?: string;
  readonly spanContext?: { readonly traceId: string; readonly spanId: string; readonly traceFlags: number };
  readonly attributes: object;
  readonly resource: { readonly attributes: object; readonly schemaUrl?: string };
  readonly instrumentationScope: {
    readonly name: string;
    readonly version?: string;
    readonly schemaUrl?: string;
    readonly attributes?: object;
  };
  readonly droppedAttributesCount: number;
}

/** What a receiver decodes for a record, as README.md says it; with `otlp` behind the header of its group. */
export function expectedEntry(layout: LayoutName, record: PlainRecord, now: Time): DecodedEntry {
  const time = [record.hrTime, record.hrTimeObserved, now].find(
    ([seconds]) => seconds >= 1 && seconds <= 0xfffffffd,
  ) as Time;
  switch (layout) {
    case 'default':
      return { time, record: defaultRecord(record) };
    case 'flat':
      return { time, record: flatRecord(record) };
    case 'otlp':
      return {
        time,
        metadata: { otlp: otlpFields(record) },
        record: { log: normalForm(record.body, OTLP_FORM) ?? null },
      };
  }
}

/** What stands in the header of a record's group. */
export function expectedGroup({ resource, instrumentationScope: scope }: PlainRecord): Map {
  return {
    resource: present({
      attributes: filled(sorted(resource.attributes), OTLP_FORM),
      schema_url: textual(resource.schemaUrl, OTLP_FORM),
    }),
    scope: present({
      ...scopeTexts(scope, OTLP_FORM),
      attributes: filled(sorted(scope.attributes ?? {}), OTLP_FORM),
    }),
  };
}

/** With the fields of plain objects in the order of their names, at every level. */
function sorted<T>(value: T): T;
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return Array.from(value, (item: unknown) => sorted(item));
  if (typeof value !== 'object' || value === null) return value;
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== null && prototype !== Object.prototype) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, item]) => [key, sorted(item)]));
}

function defaultRecord(record: PlainRecord): Map {
  const { resource, instrumentationScope: scope } = record;
  const scopeMap = present({ ...scopeTexts(scope, JSON_FORM), attributes: filled(scope.attributes, JSON_FORM) });
  return present({
    ...ownFields(record),
    attributes: filled(record.attributes, JSON_FORM),
    resource: filled(resource.attributes, JSON_FORM),
    resource_schema_url: textual(resource.schemaUrl, JSON_FORM),
    scope: Object.keys(scopeMap).length === 0 ? undefined : scopeMap,
    dropped_attributes_count: record.droppedAttributesCount || undefined,
  });
}

const FLAT_KEYS =
  /^(message|body|severity_text|severity_number|event_name|trace_id|span_id|trace_flags|observed_timestamp|resource_schema_url|dropped_attributes_count|(attributes|resource|scope)(\..*)?)$/s;

function flatRecord(record: PlainRecord): Map {
  const { resource, instrumentationScope: scope } = record;
  return present({
    ...ownFields(record),
    ...normalMap(record.attributes, JSON_FORM, (key) => (FLAT_KEYS.test(key) ? `attributes.${key}` : key)),
    ...normalMap(resource.attributes, JSON_FORM, (key) => `resource.${key}`),
    resource_schema_url: textual(resource.schemaUrl, JSON_FORM),
    ...Object.fromEntries(Object.entries(scopeTexts(scope, JSON_FORM)).map(([key, value]) => [`scope.${key}`, value])),
    ...normalMap(scope.attributes ?? {}, JSON_FORM, (key) => `scope.attributes.${key}`),
    dropped_attributes_count: record.droppedAttributesCount || undefined,
  });
}

function ownFields({ hrTimeObserved, body, spanContext, ...record }: PlainRecord): Map {
  const { traceId, spanId, traceFlags } = validSpanContext(spanContext);
  const [seconds, nanoseconds] = hrTimeObserved;
  return {
    [typeof body === 'string' ? 'message' : 'body']: normalForm(body, JSON_FORM),
    severity_text: normalForm(record.severityText, JSON_FORM),
    severity_number: record.severityNumber,
    event_name: normalForm(record.eventName, JSON_FORM),
    trace_id: traceId,
    span_id: spanId,
    trace_flags: traceFlags?.toString(16).padStart(2, '0'),
    observed_timestamp: isUnset(hrTimeObserved)
      ? undefined
      : new Date(seconds * 1000).toISOString().replace('000Z', `${String(nanoseconds).padStart(9, '0')}Z`),
  };
}

function otlpFields({ hrTime, hrTimeObserved, ...record }: PlainRecord): Map {
  const { traceId, spanId, traceFlags } = validSpanContext(record.spanContext);
  const attributes = normalMap(record.attributes, OTLP_FORM);
  const dropped = record.droppedAttributesCount;
  if (dropped > 0) attributes['otel.dropped_attributes_count'] ??= dropped;
  return present({
    observed_timestamp: unixNanos(hrTimeObserved),
    timestamp: unixNanos(hrTime),
    severity_number: record.severityNumber,
    severity_text: normalForm(record.severityText, OTLP_FORM),
    attributes: Object.keys(attributes).length === 0 ? undefined : attributes,
    trace_id: traceId && Uint8Array.from(Buffer.from(traceId, 'hex')),
    span_id: spanId && Uint8Array.from(Buffer.from(spanId, 'hex')),
    trace_flags: traceFlags,
    event_name: normalForm(record.eventName, OTLP_FORM),
  });
}

function validSpanContext(context: PlainRecord['spanContext']) {
  const traceId = validId(context?.traceId, 32);
  const spanId = validId(context?.spanId, 16);
  return { traceId, spanId, traceFlags: traceId || spanId ? context?.traceFlags : undefined };
}

function validId(id: string | undefined, length: number): string | undefined {
  if (id?.length !== length || !/^[0-9a-f]+$/i.test(id) || BigInt(`0x${id}`) === 0n) return undefined;
  return id.toLowerCase();
}

function scopeTexts({ name, version, schemaUrl }: PlainRecord['instrumentationScope'], form: NormalForm): Map {
  return present({ name: textual(name, form), version: textual(version, form), schema_url: textual(schemaUrl, form) });
}

function unixNanos(time: Time): number | bigint | undefined {
  if (isUnset(time)) return undefined;
  const nanos = BigInt(time[0]) * 1_000_000_000n + BigInt(time[1]);
  return Number.isSafeInteger(Number(nanos)) ? Number(nanos) : nanos;
}

function isUnset([seconds, nanoseconds]: Time): boolean {
  return seconds === 0 && nanoseconds === 0;
}

function filled(attributes: object | undefined, form: NormalForm): Map | undefined {
  const map = normalMap(attributes ?? {}, form);
  return Object.keys(map).length === 0 ? undefined : map;
}

function textual(text: string | undefined, form: NormalForm): string | undefined {
  return text ? form.text(text) : undefined;
}

function present(map: Map): Map {
  return Object.fromEntries(Object.entries(map).filter(([, value]) => value !== undefined));
}
