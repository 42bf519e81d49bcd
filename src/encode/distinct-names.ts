import { types } from 'node:util';

/** Maps the keys of properties to the names that their fields have in a map. */
export interface Rename {
  readonly nameOf: (key: string) => string;
  /** The only key that can have the name `name`. */
  readonly keyOf: (name: string) => string;
}

/** Returns `name`, with ` (2)` and so on appended if it is in use. */
export type Distinct = (name: string) => string;

/** Makes names for the keys of one map. They differ from each other and from the names that are `taken`. */
export function distinctNames(taken: (name: string) => boolean = () => false): Distinct {
  const names = new Set<string>();
  const repeats = new Map<string, number>();
  return (name) => {
    let distinct = name;
    let n = repeats.get(name) ?? 1;
    while (names.has(distinct) || taken(distinct)) distinct = `${name} (${++n})`;
    if (n > 1) repeats.set(name, n);
    names.add(distinct);
    return distinct;
  };
}

/** Makes names for properties of `object` that cannot keep their own. They differ from all other names in its map. */
export function distinctIn(object: object, rename?: Rename): Distinct {
  // Listing the names of a large object is slow. But a proxy can claim to have every name, so its names are listed.
  const listed = types.isProxy(object) ? new Set(Object.keys(object)) : undefined;
  return distinctNames((name) => {
    const key = rename === undefined ? name : rename.keyOf(name);
    return listed === undefined ? isPresent(object, key) : listed.has(key);
  });
}

/** Whether `object` has a property that `ValueWriter.map()` writes, or a getter that may give it a value. */
function isPresent(object: object, key: string): boolean {
  const property = Object.getOwnPropertyDescriptor(object, key);
  return property?.enumerable === true && (property.value !== undefined || property.get !== undefined);
}
