import { types } from 'node:util';

/** Gives properties the names that their fields have in a map. */
export interface Rename {
  readonly nameOf: (key: string) => string;
  /** The only key that may have got `name`. */
  readonly keyOf: (name: string) => string;
}

/** Gives a name, with ` (2)` and so on behind it when it was given before. */
export type Distinct = (name: string) => string;

/** Makes names of one map's keys that differ from each other and from those that are `taken`. */
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

/** Makes names for properties of `object` that cannot keep theirs: they differ from all others in its map. */
export function distinctIn(object: object, rename?: Rename): Distinct {
  // A list of a large object's names takes long. But a proxy may say that it has any name, without end.
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
