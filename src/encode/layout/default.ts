import type { WallTime } from '../../clock.ts';
import { mapField } from '../field.ts';
import type { ScopeFields } from '../scope.ts';
import type { ValueWriter } from '../value.ts';
import type { Writer } from '../writer.ts';
import { KEY } from './keys.ts';
import type { NamedLayout } from './layout.ts';
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
    writer.endMap(start, this.uids.write(writer, values, attributes, time, FIELD_DEPTH + 1));
    return 1;
  }

  protected override resource(writer: Writer, values: ValueWriter, attributes: object | undefined): number {
    return mapField(writer, values, KEY.resource, attributes, FIELD_DEPTH);
  }

  protected override scope(writer: Writer, values: ValueWriter, scope: ScopeFields): number {
    return mapField(writer, values, KEY.scope, scope, FIELD_DEPTH);
  }
}

export const defaultLayout: NamedLayout = {
  create: (options) => new DefaultLayout(options),
  isOwnField: (name) => Object.hasOwn(KEY, name),
};
