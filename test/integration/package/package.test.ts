// Installs the packed tarball as users do. Needs the registry; the second run finds most in its caches.
import { mkdtempSync, readdirSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ForwardReceiver } from '../../../src/testing/index.ts';
import { type Finished, nodeOf, root, run, tool } from '../registry.mjs';
import { copiesOf, installedFiles, NAME, type Programs, resolvedBy, WITH_SDK_LOGS, WITH_SDK_NODE } from './consumer.ts';
import { install, limited, npmFor, type PackageManager } from './toolbox.ts';

const require = createRequire(import.meta.url);

interface Sdk {
  readonly name: string;
  readonly packages: readonly string[];
  readonly programs: Programs;
  /** The packages by which the project imports the SDK's log classes. */
  readonly via: readonly string[];
}

const SDK_3: Sdk = {
  name: 'SDK 3.x',
  packages: ['@opentelemetry/sdk-logs@3', '@opentelemetry/api@1.10'],
  programs: WITH_SDK_LOGS,
  via: ['@opentelemetry/sdk-logs'],
};
const SDK_0: Sdk = {
  name: 'SDK 0.223',
  packages: ['@opentelemetry/sdk-logs@0.223', '@opentelemetry/api@1.9'],
  programs: WITH_SDK_LOGS,
  via: ['@opentelemetry/sdk-logs'],
};
const SDK_NODE: Sdk = {
  name: 'sdk-node 0.223',
  packages: ['@opentelemetry/sdk-node@0.223', '@opentelemetry/api@1.9'],
  programs: WITH_SDK_NODE,
  via: ['@opentelemetry/sdk-node', '@opentelemetry/sdk-logs'],
};

interface Case {
  readonly manager: PackageManager;
  readonly node: string;
  readonly sdk: Sdk;
}

const CASES: readonly Case[] = ['20', '24'].flatMap((node) =>
  [SDK_3, SDK_0, SDK_NODE].flatMap((sdk) =>
    (['npm', 'pnpm', 'yarn'] as const).map((manager) => ({ manager, node, sdk })),
  ),
);

const caseName = ({ manager, node, sdk }: Case) => `${manager}, Node.js ${node}, ${sdk.name}`;

interface Packed {
  readonly filename: string;
  readonly files: readonly { readonly path: string; readonly size: number }[];
}

interface Installed extends Finished {
  readonly project: string;
}

/** A busy machine takes minutes for an install, and one command gets up to five. */
const LIMIT = { timeout: 900_000 };
const workshop = realpathSync(mkdtempSync(join(tmpdir(), 'package-test-')));
const twoAtATime = limited(2);
const installs = new Map<string, Promise<Installed>>();
let packed: Packed;

beforeAll(async () => {
  // The scripts would build again what other tests are running.
  const { stdout } = await run('npm', ['pack', '--ignore-scripts', '--json', `--pack-destination=${workshop}`], root);
  [packed] = JSON.parse(stdout) as [Packed];
  await Promise.all([nodeOf('20'), nodeOf('24')]);
  for (const each of CASES) {
    const installed = twoAtATime(() => installFresh(each));
    // The tests that wait for it fail.
    installed.catch(() => {});
    installs.set(caseName(each), installed);
  }
}, LIMIT.timeout);

afterAll(async () => {
  await Promise.allSettled(installs.values());
  rmSync(workshop, { recursive: true, force: true });
}, LIMIT.timeout);

async function installFresh({ manager, node, sdk }: Case, ...more: string[]): Promise<Installed> {
  const project = mkdtempSync(join(workshop, 'project-'));
  writeFileSync(join(project, 'package.json'), '{ "name": "consumer", "version": "1.0.0", "private": true }\n');
  const tarball = join(workshop, packed.filename);
  // Yarn 1 takes `engines` for an order, and SDK 3.x asks for Node.js 22.15: it refuses that SDK also without this
  // package, and has to be told not to. The SDK does run on Node.js 20.
  const flags = manager === 'yarn' && node === '20' && sdk === SDK_3 ? ['--ignore-engines'] : [];
  const packages = [tarball, ...sdk.packages, ...more];
  return { project, ...(await install(manager, await nodeOf(node), project, packages, flags)) };
}

async function installedFor(each: Case): Promise<Installed> {
  const installed = await (installs.get(caseName(each)) as Promise<Installed>);
  expect(installed.code, installed.output).toBe(0);
  return installed;
}

/** Runs a program that sends three records to itself, and checks what arrived. */
async function expectDelivery(major: string, file: string): Promise<void> {
  const node = await nodeOf(major);
  const { code, stdout, output } = await run(node, [file], dirname(file), node);
  expect(code, output).toBe(0);
  // No warning and no error.
  expect(output).toBe(stdout);
  expect(JSON.parse(stdout)).toEqual({
    node: expect.stringMatching(new RegExp(`^${major}\\.`)),
    entries: [0, 1, 2].map((n) => ({
      tag: 'opentelemetry.logs',
      time: { seconds: expect.any(Number), nanoseconds: expect.any(Number) },
      record: expect.objectContaining({
        message: `record ${n}`,
        severity_text: 'INFO',
        severity_number: 9,
        attributes: { n },
        scope: { name: 'consumer', version: '1.2.3' },
      }),
    })),
  });
}

test('the tarball holds both builds and only the other files that a package needs', () => {
  const modules = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
    // The worker thread's program is in one string.
    .filter((path) => path.endsWith('.ts') && !path.startsWith('exit/worker/'))
    .map((path) => path.slice(0, -'.ts'.length));
  const builds = ['esm', 'cjs'].flatMap((format) =>
    modules
      .filter((path) => (format === 'esm' ? !/^register\b/.test(path) : !path.startsWith('cli/')))
      .flatMap((path) => [`dist/${format}/${path}.js`, `dist/${format}/${path}.d.ts`]),
  );
  expect(packed.files.map(({ path }) => path).sort()).toEqual(
    [...builds, 'dist/cjs/package.json', 'package.json', 'README.md', 'LICENSE', 'CHANGELOG.md'].sort(),
  );
});

describe.each(CASES)('$manager on Node.js $node beside $sdk.name', (each) => {
  test('the package manager installs the package as packed and reports no problem with peers', LIMIT, async () => {
    const { project, output } = await installedFor(each);
    expect(output).not.toMatch(/ERESOLVE|peer dep|unmet|Workspaces can only|^(npm )?error/im);
    expect(installedFiles(project)).toEqual(packed.files.map(({ path, size }) => ({ path, size })).sort(byPath));
    if (each.manager === 'npm') {
      const node = await nodeOf(each.node);
      const tree = await run(node, [await npmFor(node), 'ls', '--all'], project, node);
      expect(tree.code, tree.output).toBe(0);
    }
  });

  test('the project has one copy of the core and one of the API', LIMIT, async () => {
    const { project } = await installedFor(each);
    expect(copiesOf('@opentelemetry/core', project)).toHaveLength(1);
    const apis = copiesOf('@opentelemetry/api', project);
    // Yarn 1 does not share one between `api@1.9` and the `api@^1.3.0` of api-logs, and installs two also without
    // this package. api-logs takes only types from its own.
    const unused = join('node_modules', '@opentelemetry', 'api-logs', 'node_modules', '@opentelemetry', 'api');
    expect(apis.filter((path) => !(each.manager === 'yarn' && each.sdk !== SDK_3 && path === unused))).toHaveLength(1);

    const api = resolvedBy('@opentelemetry/api', project);
    expect(resolvedBy('@opentelemetry/api', project, NAME)).toBe(api);
    expect(resolvedBy('@opentelemetry/api', project, ...each.sdk.via)).toBe(api);
  });

  test('the installed package brings the command fluent-forward', LIMIT, async () => {
    const { project } = await installedFor(each);
    const node = await nodeOf(each.node);
    const command = join(project, 'node_modules', '.bin', 'fluent-forward');
    const { code, stdout, output } = await run(command, ['--help'], project, node);
    expect(code, output).toBe(0);
    expect(output).toBe(stdout);
    expect(stdout).toContain('Usage: fluent-forward');
  });

  test.each(['mjs', 'cjs'] as const)(
    'the installed package delivers records from a module of the type %s',
    LIMIT,
    async (extension) => {
      const { project } = await installedFor(each);
      const file = join(project, `program.${extension}`);
      const { esm, cjs } = each.sdk.programs;
      writeFileSync(file, extension === 'mjs' ? esm : cjs);
      await expectDelivery(each.node, file);
    },
  );
});

function byPath(a: { path: string }, b: { path: string }): number {
  return a.path < b.path ? -1 : 1;
}

describe.concurrent.each([
  { manager: 'npm', sdk: SDK_3 },
  { manager: 'npm', sdk: SDK_0 },
  // Its strict layout hides sdk-logs from the project; the declarations have to find it all the same.
  { manager: 'pnpm', sdk: SDK_NODE },
] as const)('TypeScript beside $sdk.name, installed by $manager', ({ manager, sdk }) => {
  let installed: Promise<Installed>;
  beforeAll(() => {
    installed = twoAtATime(() => installForTypeScript({ manager, node: '20', sdk }));
    installed.catch(() => {});
  });

  test.each([
    { version: '5.2', compiler: (project: string) => join(project, 'node_modules/typescript') },
    { version: '7.0', compiler: () => dirname(require.resolve('typescript/package.json')) },
  ])('TypeScript type-checks an ES module and a CommonJS module: $version', LIMIT, async ({ version, compiler }) => {
    const { project, code, output } = await installed;
    expect(code, output).toBe(0);
    const tsc = join(compiler(project), 'bin/tsc');
    expect((await run(process.execPath, [tsc, '--version'], project)).stdout).toContain(`Version ${version}.`);
    const checked = await twoAtATime(() => run(process.execPath, [tsc, '-p', 'tsconfig.json'], project));
    expect(checked.code, checked.output).toBe(0);
  });
});

async function installForTypeScript(each: Case): Promise<Installed> {
  const installed = await installFresh(each, 'typescript@5.2', '@types/node@20');
  const files = ['consumer.mts', 'consumer.cts'];
  for (const file of files) writeFileSync(join(installed.project, file), each.sdk.programs.typescript);
  const compilerOptions = {
    module: 'nodenext',
    target: 'es2022',
    lib: ['es2022'],
    types: ['node'],
    strict: true,
    exactOptionalPropertyTypes: true,
    // The declarations of this package and of the SDK have to hold too.
    skipLibCheck: false,
    noEmit: true,
  };
  writeFileSync(join(installed.project, 'tsconfig.json'), JSON.stringify({ compilerOptions, files }));
  return installed;
}

const REQUIRE_BANNER = "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);";

describe.each([SDK_3, SDK_0])('esbuild beside $name', (sdk) => {
  test.each(['esm', 'cjs'] as const)(
    'esbuild bundles a program that delivers records in the format %s',
    LIMIT,
    async (format) => {
      const { project } = await installedFor({ manager: 'npm', node: '20', sdk });
      const entry = join(project, `bundle-me-${format}.mjs`);
      writeFileSync(entry, sdk.programs.esm);
      // Beside no node_modules: what is missing in the bundle cannot be found elsewhere.
      const directory = mkdtempSync(join(workshop, 'bundle-'));
      // The SDK of this line is CommonJS and requires modules of Node.js, for which esbuild gives ES modules no `require`.
      const flags = sdk === SDK_0 && format === 'esm' ? [`--banner:js=${REQUIRE_BANNER}`] : [];
      const outfile = await BUNDLERS.esbuild(entry, directory, format, flags);
      await expectDelivery('20', outfile);
    },
  );
});

/** Logs a record and calls `process.exit()`. */
const EXITING = `
import { FluentForwardLogRecordProcessor } from '${NAME}';
const processor = new FluentForwardLogRecordProcessor({ exitTimeoutMillis: 25_000 });
processor.onEmit({ hrTime: [1_700_000_000, 0], body: 'last words', attributes: {}, resource: { attributes: {} } });
process.exit(3);
`;

/** Bundles a file into `directory`, which has no node_modules, and returns the bundle. */
const BUNDLERS = {
  esbuild: async (entry: string, directory: string, format: 'esm' | 'cjs', flags: readonly string[] = []) => {
    const outfile = join(directory, format === 'esm' ? 'bundle.mjs' : 'bundle.cjs');
    const esbuild = await tool('esbuild', '0.28.2', 'bin/esbuild');
    const args = [entry, '--bundle', '--minify', '--platform=node', `--format=${format}`, `--outfile=${outfile}`];
    const { code, output } = await run(esbuild, [...args, ...flags], dirname(entry));
    expect(code, output).toBe(0);
    return outfile;
  },
  webpack: async (entry: string, directory: string, format: 'esm' | 'cjs') => {
    const filename = format === 'esm' ? 'bundle.mjs' : 'bundle.cjs';
    const type = format === 'esm' ? 'module' : 'commonjs2';
    const config = {
      entry,
      mode: 'production',
      target: 'node20',
      output: { path: directory, filename, library: { type } },
      experiments: { outputModule: format === 'esm' },
    };
    const webpack = await tool('webpack', '5.113.0', 'lib/index.js');
    const code = `require(${JSON.stringify(webpack)})(${JSON.stringify(config)}, (error, stats) => {
      console.log(error ?? stats.toString());
      process.exitCode = error || stats.hasErrors() ? 1 : 0;
    });`;
    const bundled = await run(process.execPath, ['--eval', code], dirname(entry));
    expect(bundled.code, bundled.output).toBe(0);
    return join(directory, filename);
  },
};

/** Runs a program, and expects that the record of {@link EXITING} arrives and nothing else changes. */
async function expectLastWords(command: string, args: readonly string[], cwd: string): Promise<void> {
  const receiver = await ForwardReceiver.listen();
  const variables = { OTEL_EXPORTER_FLUENT_FORWARD_ENDPOINT: receiver.endpoint };
  const { code, output } = await run(command, args, cwd, undefined, variables);
  await receiver.close();
  const messages = receiver.entries.map(({ record }) => (record as { message?: unknown }).message);
  expect({ code, output, messages }).toEqual({ code: 3, output: '', messages: ['last words'] });
}

async function exitingProgram(): Promise<string> {
  const { project } = await installedFor({ manager: 'npm', node: '20', sdk: SDK_3 });
  const entry = join(project, 'exiting.mjs');
  writeFileSync(entry, EXITING);
  return entry;
}

describe.each(['esbuild', 'webpack'] as const)('a bundle of %s', (bundler) => {
  test.each(['esm', 'cjs'] as const)(
    'sends the last record at process.exit in the format %s',
    LIMIT,
    async (format) => {
      const directory = mkdtempSync(join(workshop, 'bundle-'));
      const bundle = await BUNDLERS[bundler](await exitingProgram(), directory, format);
      await expectLastWords(process.execPath, [bundle], directory);
    },
  );
});

const CPU = process.arch === 'x64' ? { bun: 'x64', deno: 'x64' } : { bun: 'aarch64', deno: 'arm64' };

test('Bun sends the last record at process.exit', LIMIT, async () => {
  const entry = await exitingProgram();
  const bun = await tool(`@oven/bun-linux-${CPU.bun}`, '1.4.5', 'bin/bun');
  await expectLastWords(bun, [entry], dirname(entry));
});

test('Deno sends the last record at process.exit', LIMIT, async () => {
  const entry = await exitingProgram();
  const deno = await tool(`@deno/linux-${CPU.deno}-glibc`, '2.9.6', 'deno');
  await expectLastWords(deno, ['run', '--allow-all', entry], dirname(entry));
});
