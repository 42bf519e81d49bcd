// Compiles src/ twice: ES modules to dist/esm, CommonJS to dist/cjs. What is CommonJS only, the first leaves out;
// the command line, a program, has no need of a second build.
import { execFileSync } from 'node:child_process';
import { chmodSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const typescript = createRequire(import.meta.url).resolve('typescript/package.json');
const tsc = join(dirname(typescript), 'bin', 'tsc');

function compile(project, directory, ...flags) {
  const outDir = join('dist', directory);
  execFileSync(process.execPath, [tsc, '-p', project, '--outDir', outDir, ...flags], {
    cwd: root,
    stdio: 'inherit',
  });
}

rmSync(join(root, 'dist'), { recursive: true, force: true });
compile('tsconfig.build-esm.json', 'esm');
compile(
  'tsconfig.build.json',
  'cjs',
  '--module',
  'commonjs',
  '--moduleResolution',
  'bundler',
  '--verbatimModuleSyntax',
  'false',
);
writeFileSync(join(root, 'dist', 'cjs', 'package.json'), '{ "type": "commonjs" }\n');
rmSync(join(root, 'dist', 'cjs', 'cli'), { recursive: true });
chmodSync(join(root, 'dist', 'esm', 'cli', 'main.js'), 0o755);
