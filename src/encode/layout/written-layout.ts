import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import type { WallTime } from '../../clock.ts';
import { encodeFields, type Fields, field } from '../field.ts';
import { IdentityCache } from '../identity-cache.ts';
import { isComplete, type Resource } from '../resource.ts';
import { type Scope, type ScopeFields, scopeFields } from '../scope.ts';
import { HEX, spanContext } from '../span-context.ts';
import { Rfc3339 } from '../time.ts';
import type { ValueWriter } from '../value.ts';
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

  protected override record(values: ValueWriter, record: ReadableLogRecord, time: WallTime): boolean {
    const start = values.writer.startMap();
    values.writer.endMap(start, this.fields(values, record, time));
    return true;
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

function copy({ writer }: ValueWriter, { bytes, size }: Fields): number {
  writer.raw(bytes);
  return size;
}
