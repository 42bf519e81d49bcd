/** The body under one key, whatever it is: what Fluent Bit's outputs look for first. */
export function renamedBody(_record, { message, body = message, ...entry }) {
  return { log: body, ...entry };
}
