import type { WallTime } from '../../clock.ts';
import type { Rename } from '../distinct-names.ts';
import { isObject } from '../field.ts';
import { RECORD_UID } from '../record-uid.ts';
import type { ScopeFields } from '../scope.ts';
import type { ValueWriter } from '../value.ts';
import { KEY } from './keys.ts';
import type { NamedLayout } from './layout.ts';
import { FIELD_DEPTH, WrittenLayout } from './written-layout.ts';

const ATTRIBUTES = 'attributes.';

/**
 * Puts attributes beside the record's other fields, under their own names. An attribute with the name of another
 * field becomes `attributes.<name>`, whether or not the record has that field, so that it has the same name in all
 * records. Names that begin with `attributes.` get the prefix too, so that all names stay different.
 */
export class FlatLayout extends WrittenLayout {
  protected override attributes(values: ValueWriter, attributes: object | undefined, time: WallTime): number {
    if (this.uids !== undefined) {
      return this.uids.write(values, attributes, time, FIELD_DEPTH, this.#attributes);
    }
    return isObject(attributes) ? values.properties(attributes, FIELD_DEPTH, this.#attributes) : 0;
  }

  readonly #attributes: Rename = {
    nameOf: (key) => (isFlatKey(key) || Object.hasOwn(this.options.fields, key) ? ATTRIBUTES + key : key),
    keyOf: (name) => (name.startsWith(ATTRIBUTES) ? name.slice(ATTRIBUTES.length) : name),
  };

  protected override resourceAttributes(values: ValueWriter, attributes: object | undefined): number {
    return isObject(attributes) ? values.properties(attributes, FIELD_DEPTH, prefixed('resource.')) : 0;
  }

  protected override scopeFields(values: ValueWriter, { attributes, ...named }: ScopeFields): number {
    const size = values.properties(named, FIELD_DEPTH, prefixed('scope.'));
    if (attributes === undefined) return size;
    return size + values.properties(attributes, FIELD_DEPTH, prefixed('scope.attributes.'));
  }
}

/** Whether `name` is the name of a field that is not an attribute. */
function isFlatKey(name: string): boolean {
  return Object.hasOwn(KEY, name) || /^(attributes|resource|scope)\./.test(name);
}

function prefixed(prefix: string): Rename {
  return { nameOf: (key) => prefix + key, keyOf: (name) => name.slice(prefix.length) };
}

export const flatLayout: NamedLayout = {
  create: (options) => new FlatLayout(options),
  isOwnField: (name, { recordUid }) => isFlatKey(name) || (recordUid && name === RECORD_UID),
};
