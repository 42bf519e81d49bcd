// @ts-check
/** @import { ChildProcess } from 'node:child_process' */
import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { closeSync, existsSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** Only a receiver that hangs needs these limits. A busy machine is several times slower than a quiet one. */
const START_LIMIT_MILLIS = 60_000;
const STOP_LIMIT_MILLIS = 60_000;
const LOG_LIMIT_MILLIS = 100_000;
const POLL_MILLIS = 25;
/**
 * Below the ports that systems give to outgoing connections, so that nobody takes one while a receiver restarts, and
 * above Fluentd's own. Each of the test runner's workers, which cannot see what another is about to take, has a range.
 */
const FIRST_PORT = 25_000;
const RANGES = 7;
const PORTS_IN_RANGE = 1_000;

/**
 * A receiver in a process of its own, which can be killed, and started again on the same port. It keeps
 * its log, its output and whatever else it has in a directory of its own. Both end with this process.
 */
export class ReceiverProcess {
  /** @readonly @type {number} */
  port;
  /** @readonly @type {string} */
  directory;
  #name;
  #command;
  #environment;
  #runningLine;
  #processes;
  /** @type {ChildProcess | undefined} */
  #process;
  #endWithUs = () => {
    if (this.#process !== undefined) killGroup(this.#process);
    this.#removeDirectory();
  };

  /**
   * @param {object} options
   * @param {string} options.name
   * @param {number} options.port
   * @param {(directory: string) => [file: string, ...args: string[]]} options.command what starts it
   * @param {Record<string, string>} [options.environment] what it has beside ours
   * @param {string} options.runningLine what it logs when it takes connections
   * @param {number} [options.processes] how many of its processes log that
   */
  constructor({ name, port, command, environment = {}, runningLine, processes = 1 }) {
    this.port = port;
    this.directory = mkdtempSync(join(tmpdir(), `${name}-`));
    this.#name = name;
    this.#command = command(this.directory);
    this.#environment = { ...process.env, ...environment, TMPDIR: this.directory };
    this.#runningLine = runningLine;
    this.#processes = processes;
    process.on('exit', this.#endWithUs);
  }

  get endpoint() {
    return `tcp://127.0.0.1:${this.port}`;
  }

  /** Starts it, also again after a {@link kill}: on the same port, with what the last one left. */
  async start() {
    if (this.#process !== undefined) throw new Error(`${this.#name} is running already`);
    const log = openSync(this.#logPath, 'a');
    const running = this.runs + this.#processes;
    const [file, ...args] = this.#command;
    const child = spawn(file, args, {
      cwd: this.directory,
      env: this.#environment,
      // A process group that is theirs alone: its workers outlive a supervisor that is killed.
      detached: true,
      stdio: ['ignore', log, log],
    });
    closeSync(log);
    this.#process = child;
    child.once('exit', () => {
      if (this.#process === child) this.#process = undefined;
    });
    // Its own word, and no trial connection: the tests count connections.
    await until(
      () => this.runs >= running || hasExited(child),
      START_LIMIT_MILLIS,
      () => this.log,
    );
    if (hasExited(child)) throw new Error(`${this.#name} ended at its start:\n${this.log}`);
  }

  /** Freezes it: its sockets stay open, and nothing is read or answered. */
  freeze() {
    this.#process?.kill('SIGSTOP');
  }

  /** Ends a {@link freeze}. */
  thaw() {
    this.#process?.kill('SIGCONT');
  }

  /**
   * Sends a signal that ends it, and waits for its end.
   *
   * @param {'SIGKILL' | 'SIGTERM'} signal
   */
  async kill(signal) {
    const child = this.#process;
    if (child === undefined) return;
    const exit = once(child, 'exit');
    if (signal === 'SIGKILL') killGroup(child);
    else child.kill(signal);
    const limit = setTimeout(() => killGroup(child), STOP_LIMIT_MILLIS);
    const [, endedBy] = await exit;
    clearTimeout(limit);
    if (signal === 'SIGTERM' && endedBy === 'SIGKILL') throw new Error(`${this.#name} did not stop:\n${this.log}`);
  }

  /** Stops it, and gives the paths of the files with its output: a line of JSON for each record. */
  async outputFiles() {
    await this.kill('SIGTERM');
    return this.filesIn('output');
  }

  /** Stops it, and gives all the lines of its output. */
  async output() {
    const paths = await this.outputFiles();
    return paths.flatMap((path) => readFileSync(path, 'utf8').split('\n').filter(Boolean));
  }

  /** Ends it and removes all that it has written. */
  async dispose() {
    process.off('exit', this.#endWithUs);
    await this.kill('SIGKILL');
    this.#removeDirectory();
  }

  /** Waits until `condition`, which looks at what it has logged, holds. */
  async until(/** @type {() => boolean} */ condition) {
    await until(condition, LOG_LIMIT_MILLIS, () => this.log);
  }

  /** How often it was started; each of several processes counts. */
  get runs() {
    return this.count(this.#runningLine);
  }

  /** All that it has logged. */
  get log() {
    return existsSync(this.#logPath) ? readFileSync(this.#logPath, 'utf8') : '';
  }

  /**
   * How often a text stands in its log.
   *
   * @protected
   * @param {string} text
   */
  count(text) {
    return this.log.split(text).length - 1;
  }

  /**
   * @protected
   * @param {string} folder
   */
  filesIn(folder) {
    const path = join(this.directory, folder);
    if (!existsSync(path)) return [];
    return readdirSync(path, { recursive: true, encoding: 'utf8' }).map((name) => join(path, name));
  }

  get #logPath() {
    return join(this.directory, `${this.#name}.log`);
  }

  #removeDirectory() {
    // A process that has just been killed may still be ending a write.
    rmSync(this.directory, { recursive: true, force: true, maxRetries: 3 });
  }
}

/**
 * The record in a line of output. After a kill in the middle of a write, a receiver goes on behind the
 * torn line: a whole one stands at its end. Undefined where there is none.
 *
 * @param {string} line
 * @returns {Record<string, unknown> | undefined}
 */
export function recordOf(line) {
  try {
    return JSON.parse(line.slice(line.lastIndexOf('{"message":')));
  } catch {
    return undefined;
  }
}

/**
 * The ports that this process has tried, so that two receivers that start at the same time never get the same.
 *
 * @type {Set<number>}
 */
const given = new Set();

/** A port of the loopback interface that is free for TCP and UDP: Fluentd's `in_forward` wants both. */
export async function freePort() {
  const range = Number(process.env.VITEST_POOL_ID ?? 0) % RANGES;
  for (;;) {
    const port = FIRST_PORT + PORTS_IN_RANGE * range + Math.floor(PORTS_IN_RANGE * Math.random());
    if (given.has(port)) continue;
    given.add(port);
    if ((await isFreeForTcp(port)) && (await isFreeForUdp(port))) return port;
  }
}

/**
 * @param {number} port
 * @returns {Promise<boolean>}
 */
function isFreeForTcp(port) {
  const server = createServer();
  return new Promise((resolve) => {
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

/**
 * @param {number} port
 * @returns {Promise<boolean>}
 */
function isFreeForUdp(port) {
  const socket = createSocket('udp4');
  return new Promise((resolve) => {
    socket.once('error', () => socket.close(() => resolve(false)));
    socket.bind(port, '127.0.0.1', () => socket.close(() => resolve(true)));
  });
}

/** @param {ChildProcess} child */
function killGroup(child) {
  if (child.pid !== undefined && !hasExited(child)) process.kill(-child.pid, 'SIGKILL');
}

/** @param {ChildProcess} child */
function hasExited(child) {
  return child.exitCode !== null || child.signalCode !== null;
}

/**
 * @param {() => boolean} condition
 * @param {number} limitMillis
 * @param {() => string} describe
 */
async function until(condition, limitMillis, describe) {
  const end = performance.now() + limitMillis;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`not within ${limitMillis} ms:\n${describe()}`);
    await sleep(POLL_MILLIS);
  }
}
