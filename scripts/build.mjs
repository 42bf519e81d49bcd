// Compiles src/ twice: ES modules to dist/esm, CommonJS to dist/cjs. What is CommonJS only, the first leaves out;
// the command line, a program, has no need of a second build. Both builds get the program of the worker thread
// (src/exit/worker) as one string, so that bundlers of applications carry it.
import { execFileSync } from 'node:child_process';
import { chmodSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';

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

/** The program of the worker thread, with everything it needs but Node.js. */
async function bundleWorker() {
  const bundle = await rolldown({ input: join(root, 'dist/esm/exit/worker/main.js'), platform: 'node' });
  const { output } = await bundle.generate({ format: 'cjs', minify: true });
  return output[0].code;
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
const worker = JSON.stringify(await bundleWorker());
writeFileSync(join(root, 'dist/esm/exit/worker-source.js'), `export const WORKER_SOURCE = ${worker};\n`);
writeFileSync(join(root, 'dist/cjs/exit/worker-source.js'), `exports.WORKER_SOURCE = ${worker};\n`);
for (const directory of ['esm', 'cjs']) rmSync(join(root, 'dist', directory, 'exit', 'worker'), { recursive: true });
writeFileSync(join(root, 'dist', 'cjs', 'package.json'), '{ "type": "commonjs" }\n');
rmSync(join(root, 'dist', 'cjs', 'cli'), { recursive: true });
chmodSync(join(root, 'dist', 'esm', 'cli', 'main.js'), 0o755);
