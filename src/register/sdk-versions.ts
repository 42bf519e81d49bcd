/** The versions of `@opentelemetry/sdk-logs` that `register` works with: the peer dependency in package.json. */
export const SDK_VERSIONS = '>=0.220.0 <0.300.0 || ^3.0.0';

type Version = readonly [major: number, minor: number, patch: number];

/** Whether a version is in a range of npm that has the operators `>=`, `<`, `^` and `||` alone. */
export function isInRange(version: string, range: string): boolean {
  const parsed = parseVersion(version);
  return range.split('||').some((part) =>
    part
      .trim()
      .split(/\s+/)
      .every((comparator) => holds(parsed, comparator)),
  );
}

function holds(version: Version, comparator: string): boolean {
  const [, operator, text = ''] = /^(>=|<|\^)(.+)$/.exec(comparator) ?? [];
  const bound = parseVersion(text);
  switch (operator) {
    case '>=':
      return compare(version, bound) >= 0;
    case '<':
      return compare(version, bound) < 0;
    case '^':
      return compare(version, bound) >= 0 && version[0] === bound[0];
    default:
      throw new Error(`unknown comparator ${comparator}`);
  }
}

/** Without the suffix of a pre-release. */
function parseVersion(text: string): Version {
  const [major = 0, minor = 0, patch = 0] = text.split(/[.+-]/).map(Number);
  return [major, minor, patch];
}

function compare(a: Version, b: Version): number {
  return a[0] - b[0] || a[1] - b[1] || a[2] - b[2];
}
