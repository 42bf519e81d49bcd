import type { WallTime } from '../../clock.ts';
import { isObject, mapField } from '../field.ts';
import type { ScopeFields } from '../scope.ts';
import type { ValueWriter } from '../value.ts';
import type { Writer } from '../writer.ts';
import { KEY } from './keys.ts';
import { FIELD_DEPTH, RecordLayout } from './record-layout.ts';

/** Attributes, resource and scope are maps of the record. */
export class DefaultLayout extends RecordLayout {
  protected override attributes(
    writer: Writer,
    values: ValueWriter,
    attributes: object | undefined,
    time: WallTime,
  ): number {
    if (this.uids === undefined) return mapField(writer, values, KEY.attributes, attributes, FIELD_DEPTH);
    writer.raw(KEY.attributes);
    const start = writer.startMap();
    const size = isObject(attributes) ? values.properties(attributes, FIELD_DEPTH + 1) : 0;
    writer.endMap(start, size + this.uids.write(writer, attributes, time));
    return 1;
  }

  protected override resource(writer: Writer, values: ValueWriter, attributes: object | undefined): number {
    return mapField(writer, values, KEY.resource, attributes, FIELD_DEPTH);
  }

  protected override scope(writer: Writer, values: ValueWriter, scope: ScopeFields): number {
    return mapField(writer, values, KEY.scope, scope, FIELD_DEPTH);
  }
}
