/** What `JSON.parse` gives for a value, and the integers that it cannot hold. */
export function asJson(value: unknown): { json: unknown; digits: string[] } {
  const digits: string[] = [];
  const convert = (part: unknown): unknown => {
    if (typeof part === 'bigint') {
      digits.push(String(part));
      return Number(part);
    }
    if (Array.isArray(part)) return part.map(convert);
    if (typeof part !== 'object' || part === null) return part;
    return Object.fromEntries(Object.entries(part).map(([key, item]) => [key, convert(item)]));
  };
  return { json: convert(value), digits };
}
