import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

export interface Finished {
  /** Null when a signal ended it, by its own doing or because it did not end by itself. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly millis: number;
}

export interface Started {
  readonly child: ChildProcess;
  /** Resolves once it has written `text` to its standard output. */
  readonly wrote: (text: string) => Promise<void>;
  readonly finished: Promise<Finished>;
}

export interface ProgramOptions {
  /** Options of Node.js. */
  nodeOptions?: readonly string[];
  args?: readonly string[];
  env?: Record<string, string>;
  /** How many file descriptors it may have. */
  files?: number;
  cwd?: string;
}

/** Ends a program that hangs, before the test that waits for it reaches its own limit. */
const LIMIT_MILLIS = 100_000;

const root = new URL('../../', import.meta.url);

/**
 * Starts a program as a user does, with no OpenTelemetry variables but those given. The path is
 * absolute or within this repository.
 */
export function startProgram(
  path: string,
  { nodeOptions = [], args = [], env = {}, files, cwd }: ProgramOptions = {},
): Started {
  const inherited = Object.entries(process.env).filter(
    ([name]) => !/^(OTEL_|NO_COLOR$|FORCE_COLOR$|NODE_OPTIONS$)/.test(name),
  );
  const start = performance.now();
  const command = [process.execPath, ...nodeOptions, fileURLToPath(new URL(path, root)), ...args];
  const [file, ...rest] =
    files === undefined ? command : ['sh', '-c', `ulimit -n ${files}; exec "$0" "$@"`, ...command];
  const child = spawn(file as string, rest, {
    cwd,
    env: { ...Object.fromEntries(inherited), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: LIMIT_MILLIS,
    killSignal: 'SIGKILL',
  });
  const output = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text) => {
    output.stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text) => {
    output.stderr += text;
  });
  const finished = once(child, 'close').then(([code, signal]) => ({
    code: code as number | null,
    signal: signal as NodeJS.Signals | null,
    millis: performance.now() - start,
    ...output,
  }));
  const wrote = async (text: string) => {
    while (!output.stdout.includes(text)) await once(child.stdout, 'data');
  };
  return { child, wrote, finished };
}

export function runProgram(path: string, options?: ProgramOptions): Promise<Finished> {
  return startProgram(path, options).finished;
}

/** The number in a row of the table that a program ends with. */
export function tableValue(stdout: string, label: string): number {
  const value = new RegExp(`^  ${label} +([\\d,]+)(?:  |$)`, 'm').exec(stdout)?.[1];
  if (value === undefined) throw new Error(`no row '${label}' in:\n${stdout}`);
  return Number(value.replaceAll(',', ''));
}
