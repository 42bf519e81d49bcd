import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { onTestFinished, type TestContext } from 'vitest';

/** The version that CI installs, and whose behaviour the tests describe. */
const VERSION = '1.18.0';
const START_LIMIT_MILLIS = 30_000;
const STOP_LIMIT_MILLIS = 20_000;
const POLL_MILLIS = 25;
/** Below the ports that systems give to outgoing connections: nobody takes one while Fluentd restarts. */
const FIRST_PORT = 20_000;
const LAST_PORT = 29_999;

const RUNNING_LINE = 'fluentd worker is now running';

/** Skips the test where there is no Fluentd; in CI it fails instead. For `beforeEach`. */
export function requireFluentd(context: TestContext): void {
  const version = installedVersion();
  const isCi = !['', 'false', undefined].includes(process.env.CI);
  if (version === undefined) {
    const reason = `fluentd is not installed: gem install fluentd -v ${VERSION}`;
    if (isCi) throw new Error(`${reason} (CI is set, where these tests must run)`);
    context.skip(reason);
  }
  if (isCi && version !== VERSION) throw new Error(`fluentd ${VERSION} is wanted in CI, found ${version}`);
}

/** Asked once; null where there is none. */
let installed: string | null | undefined;

function installedVersion(): string | undefined {
  installed ??= askVersion();
  return installed ?? undefined;
}

function askVersion(): string | null {
  try {
    return execFileSync('fluentd', ['--version'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
      .trim()
      .replace('fluentd ', '');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

/** A Fluentd with a forward input and a file output that keeps a time's nanoseconds, in a directory of its own. */
export class Fluentd {
  readonly port: number;
  readonly #directory: string;
  #process: ChildProcess | undefined;

  private constructor(port: number, directory: string) {
    this.port = port;
    this.#directory = directory;
  }

  /** `source` is added to the forward input's section. Ends, and is gone, with the test. */
  static async start(source: string = ''): Promise<Fluentd> {
    const directory = mkdtempSync(join(tmpdir(), 'fluentd-'));
    const fluentd = new Fluentd(await freePort(), directory);
    onTestFinished(async () => {
      await fluentd.kill('SIGKILL');
      rmSync(directory, { recursive: true, force: true });
    });
    writeFileSync(join(directory, 'fluent.conf'), configuration(fluentd.port, directory, source));
    await fluentd.start();
    return fluentd;
  }

  get endpoint(): string {
    return `tcp://127.0.0.1:${this.port}`;
  }

  /** Starts it again after a {@link kill}, on the same port, with the buffer that the last one left. */
  async start(): Promise<void> {
    if (this.#process !== undefined) throw new Error('fluentd is running already');
    const log = openSync(this.#logPath, 'a');
    const runs = this.#count(RUNNING_LINE);
    // One process without a supervisor, so that a signal reaches all there is.
    const child = spawn('fluentd', ['--no-supervisor', '-c', join(this.#directory, 'fluent.conf')], {
      stdio: ['ignore', log, log],
    });
    closeSync(log);
    this.#process = child;
    const killWithUs = () => child.kill('SIGKILL');
    process.on('exit', killWithUs);
    child.once('exit', () => {
      process.off('exit', killWithUs);
      if (this.#process === child) this.#process = undefined;
    });
    // Its own word, and no trial connection: the tests count connections.
    await until(
      () => this.#count(RUNNING_LINE) > runs || hasExited(child),
      START_LIMIT_MILLIS,
      () => this.log,
    );
    if (hasExited(child)) throw new Error(`fluentd ended at its start:\n${this.log}`);
  }

  /** Freezes it: its sockets stay open, and nothing is read or answered. */
  freeze(): void {
    this.#process?.kill('SIGSTOP');
  }

  /** Sends a signal that ends it, and waits for its end. */
  async kill(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const child = this.#process;
    if (child === undefined) return;
    const exit = once(child, 'exit');
    child.kill(signal);
    const limit = setTimeout(() => child.kill('SIGKILL'), STOP_LIMIT_MILLIS);
    const [, endedBy] = (await exit) as [number | null, NodeJS.Signals | null];
    clearTimeout(limit);
    if (signal === 'SIGTERM' && endedBy === 'SIGKILL') throw new Error(`fluentd did not stop:\n${this.log}`);
  }

  /** Stops it, which writes out its buffer, and gives all the lines that its file output wrote. */
  async output(): Promise<string[]> {
    await this.kill('SIGTERM');
    const left = this.#filesIn('buffer').filter((name) => name.endsWith('.log'));
    if (left.length > 0) throw new Error(`fluentd stopped with ${left.length} chunks unwritten:\n${this.log}`);
    return this.#filesIn('output').flatMap((name) =>
      readFileSync(join(this.#directory, 'output', name), 'utf8')
        .split('\n')
        .filter(Boolean),
    );
  }

  /** All that it has logged. */
  get log(): string {
    return existsSync(this.#logPath) ? readFileSync(this.#logPath, 'utf8') : '';
  }

  /** What it has logged as warnings or worse. */
  get complaints(): string[] {
    return this.log.split('\n').filter((line) => / \[(warn|error|fatal)\]: /.test(line));
  }

  /** Connections that it has accepted. */
  get connections(): number {
    return this.#count('accepted fluent socket');
  }

  /** The chunk ids that it has acknowledged, in order. */
  get acks(): string[] {
    return [...this.log.matchAll(/sent response to fluent socket .*"ack"=>"([^"]+)"/g)].map(([, id]) => id as string);
  }

  get #logPath(): string {
    return join(this.#directory, 'fluentd.log');
  }

  #count(text: string): number {
    return this.log.split(text).length - 1;
  }

  #filesIn(folder: string): string[] {
    const path = join(this.#directory, folder);
    return existsSync(path) ? readdirSync(path) : [];
  }
}

function configuration(port: number, directory: string, source: string): string {
  return `
<source>
  @type forward
  @log_level trace
  bind 127.0.0.1
  port ${port}
  ${source}
</source>
<match opentelemetry.**>
  @type file
  path ${directory}/output/records
  append true
  <format>
    @type json
  </format>
  <inject>
    tag_key fluent_tag
    time_key fluent_time
    time_type string
    time_format %s.%N
  </inject>
  <buffer>
    @type file
    path ${directory}/buffer
    flush_mode interval
    flush_interval 1h
    flush_at_shutdown true
  </buffer>
</match>
`;
}

/** A port of the loopback interface that is free for TCP and UDP: `in_forward` wants both. */
async function freePort(): Promise<number> {
  for (;;) {
    const port = FIRST_PORT + Math.floor(Math.random() * (LAST_PORT - FIRST_PORT + 1));
    if ((await isFreeForTcp(port)) && (await isFreeForUdp(port))) return port;
  }
}

function isFreeForTcp(port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

function isFreeForUdp(port: number): Promise<boolean> {
  const socket = createSocket('udp4');
  return new Promise((resolve) => {
    socket.once('error', () => socket.close(() => resolve(false)));
    socket.bind(port, '127.0.0.1', () => socket.close(() => resolve(true)));
  });
}

function hasExited(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

async function until(condition: () => boolean, limitMillis: number, describe: () => string): Promise<void> {
  const end = performance.now() + limitMillis;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`not within ${limitMillis} ms:\n${describe()}`);
    await sleep(POLL_MILLIS);
  }
}
