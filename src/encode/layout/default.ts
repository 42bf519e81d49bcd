import type { WallTime } from '../../clock.ts';
import { mapField } from '../field.ts';
import type { ScopeFields } from '../scope.ts';
import type { ValueWriter } from '../value.ts';
import { KEY } from './keys.ts';
import type { NamedLayout } from './layout.ts';
import { FIELD_DEPTH, WrittenLayout } from './written-layout.ts';

/** Writes attributes, resource and scope as maps in the record. */
export class DefaultLayout extends WrittenLayout {
  protected override attributes(values: ValueWriter, attributes: object | undefined, time: WallTime): number {
    if (this.uids === undefined) return mapField(values, KEY.attributes, attributes, FIELD_DEPTH);
    const { writer } = values;
    writer.raw(KEY.attributes.bytes);
    const start = writer.startMap();
    writer.endMap(start, this.uids.write(values, attributes, time, FIELD_DEPTH + 1));
    return 1;
  }

  protected override resourceAttributes(values: ValueWriter, attributes: object | undefined): number {
    return mapField(values, KEY.resource, attributes, FIELD_DEPTH);
  }

  protected override scopeFields(values: ValueWriter, scope: ScopeFields): number {
    return mapField(values, KEY.scope, scope, FIELD_DEPTH);
  }
}

export const defaultLayout: NamedLayout = {
  create: (options) => new DefaultLayout(options),
  isOwnField: (name) => Object.hasOwn(KEY, name),
};
