import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import type { WallTime } from '../../clock.ts';
import { encodeFields, type Fields, field } from '../field.ts';
import { IdentityCache } from '../identity-cache.ts';
import { isComplete, type Resource } from '../resource.ts';
import { type Scope, type ScopeFields, scopeFields } from '../scope.ts';
import { HEX, spanContext } from '../span-context.ts';
import { Rfc3339 } from '../time.ts';
import type { ValueWriter } from '../value.ts';
import type { Writer } from '../writer.ts';
import type { Key } from './keys.ts';
import type { LayoutOptions } from './layout.ts';
import { RecordLayout } from './record-layout.ts';

/** An entry is an array and a map: the values of the record's fields are inside two containers. */
export const FIELD_DEPTH = 2;

/** Writes fields as bytes. Resource, scope and static fields are encoded once, and copied into each record. */
export abstract class WrittenLayout extends RecordLayout<ValueWriter> {
  readonly #times: Rfc3339 = new Rfc3339();
  readonly #resources: IdentityCache<Resource, Fields>;
  readonly #scopes: IdentityCache<Scope, Fields>;
  readonly #staticFields: Fields;

  constructor(options: LayoutOptions) {
    super(options);
    this.#resources = new IdentityCache(
      (resource) => this.#encode((values) => this.resourceFields(values, resource)),
      isComplete,
    );
    this.#scopes = new IdentityCache((scope) => this.#encode((values) => this.scopeFields(values, scopeFields(scope))));
    this.#staticFields = this.#encode((values) => values.properties(options.fields, FIELD_DEPTH));
  }

  protected override record(
    values: ValueWriter,
    record: ReadableLogRecord,
    time: WallTime,
    resource: Resource | undefined,
  ): boolean {
    const start = values.writer.startMap();
    values.writer.endMap(start, this.fields(values, record, time, resource));
    return true;
  }

  /** Inserts the resource's fields, and counts them in the header of the entry's map. */
  complete(writer: Writer, entry: Uint8Array, gap: number, resource: Resource): void {
    const { bytes, size } = this.#resources.of(resource);
    const map = readMapHeader(entry, MAP_POSITION);
    // The header had one byte when the gap was noted.
    const position = gap + map.end - MAP_POSITION - 1;
    writer.raw(entry.subarray(0, MAP_POSITION));
    const start = writer.startMap();
    writer.raw(entry.subarray(map.end, position));
    writer.raw(bytes);
    writer.raw(entry.subarray(position));
    writer.endMap(start, map.size + size);
  }

  protected override field(values: ValueWriter, key: Key, value: unknown): number {
    return field(values, key, value, FIELD_DEPTH);
  }

  protected override spanContext({ writer }: ValueWriter, context: unknown): number {
    return spanContext(HEX, writer, context);
  }

  protected override time({ writer }: ValueWriter, key: Key, time: unknown): number {
    return this.#times.write(writer, key, time) ? 1 : 0;
  }

  protected override resource(values: ValueWriter, resource: Resource): number {
    return copy(values, this.#resources.of(resource));
  }

  protected override noResource(values: ValueWriter): 0 {
    values.gap = values.writer.position;
    return 0;
  }

  protected override scope(values: ValueWriter, scope: Scope): number {
    return copy(values, this.#scopes.of(scope));
  }

  protected abstract scopeFields(values: ValueWriter, scope: ScopeFields): number;

  protected override staticFields(values: ValueWriter): number {
    return copy(values, this.#staticFields);
  }

  #encode(write: (values: ValueWriter) => number): Fields {
    return encodeFields((writer) => this.values(writer), write);
  }
}

/** The position of an entry's map: behind the header of the array, and the time. */
const MAP_POSITION = 11;

/** Reads the header of a map that {@link Writer.endMap} wrote. */
function readMapHeader(bytes: Uint8Array, position: number): { readonly size: number; readonly end: number } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  switch (view.getUint8(position)) {
    case 0xde:
      return { size: view.getUint16(position + 1), end: position + 3 };
    case 0xdf:
      return { size: view.getUint32(position + 1), end: position + 5 };
    default:
      return { size: view.getUint8(position) & 0x0f, end: position + 1 };
  }
}

function copy({ writer }: ValueWriter, { bytes, size }: Fields): number {
  writer.raw(bytes);
  return size;
}
