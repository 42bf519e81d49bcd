import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, it } from 'vitest';

/** Other packages of OpenTelemetry are optional peers, so that a project may not have them. */
const PACKAGES = ['@opentelemetry/api', '@opentelemetry/sdk-logs'];

const { exports: entryPoints } = JSON.parse(readFileSync('package.json', 'utf8')) as { exports: unknown };

/** The files under each key `types`, at any level. */
function typesIn(conditions: unknown): string[] {
  if (typeof conditions !== 'object' || conditions === null) return [];
  return Object.entries(conditions).flatMap(([key, value]) => (key === 'types' ? [value as string] : typesIn(value)));
}

/** What a file imports or refers to, in whatever form. */
function specifiersIn(file: string): string[] {
  const text = readFileSync(file, 'utf8').replace(/\/\*.*?\*\//gs, '');
  const imports = /\b(?:from|import|require|module)\s*\(?\s*(['"])(.+?)\1|<reference\s+\w+=(['"])(.+?)\3/g;
  return [...text.matchAll(imports)].map(([, , specifier, , reference]) => (specifier ?? reference) as string);
}

/** What the files that are reachable from `entries` import from elsewhere. */
function foreignImports(entries: readonly string[]): { readonly files: Set<string>; readonly imports: string[] } {
  const files = new Set(entries);
  const imports: string[] = [];
  for (const file of files) {
    for (const specifier of specifiersIn(file)) {
      if (specifier.startsWith('.')) files.add(join(dirname(file), specifier.replace(/\.ts$/, '.d.ts')));
      else imports.push(`${specifier} in ${file}`);
    }
  }
  return { files, imports };
}

it('the published declarations import only @opentelemetry/api, @opentelemetry/sdk-logs and modules of Node.js', () => {
  const entries = typesIn(entryPoints).map((path) => join(path));
  expect(entries.sort()).toEqual([
    'dist/cjs/index.d.ts',
    'dist/cjs/register.d.ts',
    'dist/cjs/testing/index.d.ts',
    'dist/esm/index.d.ts',
    'dist/esm/testing/index.d.ts',
  ]);
  const { files, imports } = foreignImports(entries);
  expect(files).toContain('dist/esm/exporter.d.ts');
  const isAllowed = (name: string) => name.startsWith('node:') || PACKAGES.includes(name.split(' ', 1)[0] as string);
  expect(imports.filter((name) => !isAllowed(name))).toEqual([]);
  expect(imports).toContain('@opentelemetry/sdk-logs in dist/esm/exporter.d.ts');
});
