/**
 * Keys without dots, for stores that take a dot for a step into an object: `http.method` becomes
 * `http_method`, and `http_method_` where there is one of that name. It goes for all plain objects of the
 * entry, in lists too; what a `Map` or an instance holds stays as it is.
 */
export function dotless(_record, entry) {
  return withoutDots(entry, new Map());
}

/** `made` has the copies by original: a body can refer to itself. */
function withoutDots(value, made) {
  if (typeof value !== 'object' || value === null) return value;
  if (made.has(value)) return made.get(value);
  if (Array.isArray(value)) {
    const list = [];
    made.set(value, list);
    for (const item of value) list.push(withoutDots(item, made));
    return list;
  }
  if (!isPlain(value)) return value;
  // Without a prototype, as `__proto__` is a key like any other.
  const map = Object.create(null);
  made.set(value, map);
  for (const [key, item] of Object.entries(value)) map[nameIn(map, value, key)] = withoutDots(item, made);
  return map;
}

/** Never the name of a key that has no dots itself, nor one given before. */
function nameIn(map, value, key) {
  let name = key.replaceAll('.', '_');
  if (name !== key) while (Object.hasOwn(value, name) || Object.hasOwn(map, name)) name += '_';
  return name;
}

/** Whether it is encoded by its keys, and not by what `toJSON()` or `toString()` give. */
function isPlain(object) {
  const prototype = Object.getPrototypeOf(object);
  return (prototype === null || prototype === Object.prototype) && typeof object.toJSON !== 'function';
}
