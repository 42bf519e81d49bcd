// Compiles src/ twice: ES modules to dist/esm, CommonJS to dist/cjs.
import { execFileSync } from 'node:child_process';
import { existsSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const typescript = createRequire(import.meta.url).resolve('typescript/package.json');
const tsc = join(dirname(typescript), 'bin', 'tsc');
const dist = join(root, 'dist');
// Takes its place once it is whole, so that nothing ever runs half a build, and a failed one changes nothing.
const fresh = join(root, 'node_modules', '.cache', `dist-${process.pid}`);
const old = `${fresh}-old`;

function compile(directory, ...flags) {
  const outDir = join(fresh, directory);
  execFileSync(process.execPath, [tsc, '-p', 'tsconfig.build.json', '--outDir', outDir, ...flags], {
    cwd: root,
    stdio: 'inherit',
  });
}

try {
  compile('esm');
  compile('cjs', '--module', 'commonjs', '--moduleResolution', 'bundler', '--verbatimModuleSyntax', 'false');
  writeFileSync(join(fresh, 'cjs', 'package.json'), '{ "type": "commonjs" }\n');
  if (existsSync(dist)) renameSync(dist, old);
  renameSync(fresh, dist);
} finally {
  for (const directory of [fresh, old]) rmSync(directory, { recursive: true, force: true });
}
