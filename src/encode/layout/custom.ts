import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import type { WallTime } from '../../clock.ts';
import { ignoreRejection, messageOf } from '../../errors.ts';
import { isPlainObject } from '../../plain-object.ts';
import { DeepCopy } from '../deep-copy.ts';
import { describe } from '../describe.ts';
import { copyOf, setField } from '../field.ts';
import { isRecordUid, RECORD_UID } from '../record-uid.ts';
import type { Resource } from '../resource.ts';
import { type Scope, scopeFields } from '../scope.ts';
import { HEX_TEXT, spanContext } from '../span-context.ts';
import { Rfc3339 } from '../time.ts';
import { MAX_ELEMENTS, type ValueWriter } from '../value.ts';
import { KEY, type Key } from './keys.ts';
import { type LayoutOptions, UnencodableError } from './layout.ts';
import { RecordLayout } from './record-layout.ts';

/**
 * Makes the entry of a record. `entry` is a new object with the fields of the layout `default`. Its values are not
 * encoded yet, and instances in it (a `Date`, a `Map`, a `Buffer`) are those of the record. Return a plain object to
 * send it, or `undefined` to leave the record out.
 */
export type LayoutFunction = (record: ReadableLogRecord, entry: Record<string, unknown>) => object | undefined;

/** An entry that is being made for a layout function: an object of its own, with copies of the record's values. */
class EntryCopy {
  readonly fields: Record<string, unknown> = {};
  readonly copy: DeepCopy = new DeepCopy();

  set(name: string, value: unknown): 0 | 1 {
    if (value === undefined) return 0;
    setField(this.fields, name, value);
    return 1;
  }
}

/** Sends what a function of the application makes of each record. */
export class CustomLayout extends RecordLayout<EntryCopy> {
  readonly #makeEntry: LayoutFunction;
  readonly #times: Rfc3339 = new Rfc3339();

  constructor(makeEntry: LayoutFunction, options: LayoutOptions) {
    super(options);
    this.#makeEntry = makeEntry;
  }

  protected override record(
    values: ValueWriter,
    record: ReadableLogRecord,
    time: WallTime,
    resource: Resource | undefined,
  ): boolean {
    const entry = new EntryCopy();
    this.fields(entry, record, time, resource);
    const made = this.#call(record, entry.fields);
    if (made === undefined) return false;
    values.map(made, 1);
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

  protected override field(entry: EntryCopy, { name }: Key, value: unknown): number {
    return entry.set(name, entry.copy.of(value));
  }

  protected override spanContext({ fields }: EntryCopy, context: unknown): number {
    return spanContext(HEX_TEXT, fields, context);
  }

  protected override time(entry: EntryCopy, { name }: Key, time: unknown): number {
    return entry.set(name, this.#times.text(time));
  }

  protected override attributes(entry: EntryCopy, attributes: object | undefined, time: WallTime): number {
    return entry.set(KEY.attributes.name, this.#withUid(entry.copy.fields(attributes), time));
  }

  #withUid(attributes: Record<string, unknown> | undefined, time: WallTime): object | undefined {
    if (this.uids === undefined) return attributes;
    const { [RECORD_UID]: own, ...others } = attributes ?? {};
    const isCut = Object.keys(others).length >= MAX_ELEMENTS;
    if (isRecordUid(own) && !isCut) return attributes;
    const uid = isRecordUid(own) ? own : this.uids.next(time);
    // If there are too many attributes, the last ones are not written.
    return isCut ? { [RECORD_UID]: uid, ...others } : { ...others, [RECORD_UID]: uid };
  }

  protected override resource(entry: EntryCopy, resource: Resource): number {
    return this.resourceFields(entry, resource);
  }

  protected override resourceAttributes(entry: EntryCopy, attributes: object | undefined): number {
    return entry.set(KEY.resource.name, entry.copy.fields(attributes));
  }

  protected override scope(entry: EntryCopy, scope: Scope): number {
    const { attributes, ...named } = scopeFields(scope);
    return entry.set(KEY.scope.name, copyOf({ ...named, attributes: entry.copy.fields(attributes) }));
  }

  protected override staticFields(entry: EntryCopy): number {
    let size = 0;
    const fields = entry.copy.fields(this.options.fields) ?? {};
    for (const [name, value] of Object.entries(fields)) size += entry.set(name, value);
    return size;
  }
}
