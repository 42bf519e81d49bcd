/** A row for `console.table`: numbers, rounded, and nothing where there is none. */
export function row(columns, digits) {
  const cells = Object.entries(columns).filter(([, value]) => value !== undefined);
  return Object.fromEntries(cells.map(([name, value]) => [name, Number(value.toFixed(digits))]));
}
