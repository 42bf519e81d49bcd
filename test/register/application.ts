import { cpSync, existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { LONG_LIMIT_VARIABLES } from '../support/long-limits.ts';
import { type Finished, type ProgramOptions, type Started, startProgram } from '../support/run-program.ts';
import { SDK_0, type SdkLine } from '../support/sdk-line.ts';

const NAME = 'opentelemetry-exporter-fluent-forward';
const root = fileURLToPath(new URL('../..', import.meta.url));

const PACKAGES = ['@opentelemetry/api', '@opentelemetry/api-logs', '@opentelemetry/sdk-logs', '@msgpack/msgpack'];

export interface RunOptions extends Omit<ProgramOptions, 'cwd' | 'nodeOptions'> {
  /** How the module is loaded. */
  readonly flag?: '--import' | '--require';
  /** The module, where it is not that of the installed package. */
  readonly module?: string;
  /** Options of Node.js before the one that loads the module. */
  readonly before?: readonly string[];
  /** Options of Node.js behind it. */
  readonly behind?: readonly string[];
}

/** An application in a directory of its own, with this package and a line of the SDK installed. */
export class Application {
  readonly directory: string;
  /** Where this package is installed. */
  readonly package: string;

  constructor(line: SdkLine, packages: readonly string[] = PACKAGES) {
    this.directory = realpathSync(mkdtempSync(join(tmpdir(), 'register-test-')));
    for (const name of packages) this.link(name, line.home);
    this.package = join(this.directory, 'node_modules', NAME);
    cpSync(join(root, 'dist'), join(this.package, 'dist'), { recursive: true });
    cpSync(join(root, 'package.json'), join(this.package, 'package.json'));
  }

  /** Installs what a folder of this repository has installed. */
  link(name: string, home: string): void {
    const link = join(this.directory, 'node_modules', ...name.split('/'));
    mkdirSync(dirname(link), { recursive: true });
    symlinkSync(directoryOf(name, home), link);
  }

  /** Installs a package that holds this code. */
  install(name: string, version: string, code: string): void {
    const folder = join(this.directory, 'node_modules', ...name.split('/'));
    mkdirSync(join(folder, 'build'), { recursive: true });
    writeFileSync(join(folder, 'package.json'), JSON.stringify({ name, version, exports: './build/index.js' }));
    // Does not name the package, as in packages that hold ES modules too.
    writeFileSync(join(folder, 'build', 'package.json'), JSON.stringify({ type: 'commonjs' }));
    writeFileSync(join(folder, 'build', 'index.js'), code);
  }

  /** Gives this package an API of its own, which says that it has this version. */
  nestApi(version: string): void {
    const name = '@opentelemetry/api';
    const folder = join(this.package, 'node_modules', ...name.split('/'));
    cpSync(directoryOf(name, SDK_0.home), folder, { recursive: true });
    writeFileSync(join(folder, 'build/src/version.js'), `exports.VERSION = '${version}';`);
  }

  write(file: string, text: string): void {
    writeFileSync(join(this.directory, file), text);
  }

  start(file: string, options: RunOptions = {}): Started {
    const { flag = '--import', module = `${NAME}/register`, before = [], behind = [], ...programOptions } = options;
    return startProgram(join(this.directory, file), {
      ...programOptions,
      env: { ...LONG_LIMIT_VARIABLES, ...programOptions.env },
      cwd: this.directory,
      nodeOptions: [...before, flag, module, ...behind],
    });
  }

  run(file: string, options?: RunOptions): Promise<Finished> {
    return this.start(file, options).finished;
  }

  remove(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}

function directoryOf(name: string, home: string): string {
  const places = createRequire(join(root, home, 'package.json')).resolve.paths(name) ?? [];
  const directory = places.map((place) => join(place, name)).find((path) => existsSync(path));
  if (directory === undefined) throw new Error(`${name} is not installed for ${home}`);
  return realpathSync(directory);
}
