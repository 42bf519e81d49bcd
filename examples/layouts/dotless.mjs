/** Keys without dots, for stores that take a dot for a step into an object: `http.method` becomes `http_method`. */
export function dotless(_record, { attributes, resource, ...entry }) {
  return { ...entry, attributes: withoutDots(attributes), resource: withoutDots(resource) };
}

/** The SDK makes sure that attributes are plain values, lists and maps, without cycles. */
function withoutDots(value) {
  if (Array.isArray(value)) return value.map(withoutDots);
  if (Object.prototype.toString.call(value) !== '[object Object]') return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key.replaceAll('.', '_'), withoutDots(item)]));
}
