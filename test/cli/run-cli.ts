import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { type Finished, type ProgramOptions, runProgram, startProgram } from '../support/run-program.ts';

/** The command as it is published. */
const PATH = 'dist/esm/cli/main.js';

/** Runs `fluent-forward` with these arguments to its end. */
export function runCli(args: readonly string[], options?: Omit<ProgramOptions, 'args'>): Promise<Finished> {
  return runProgram(PATH, { ...options, args });
}

export function startCli(args: readonly string[], options?: Omit<ProgramOptions, 'args'>) {
  return startProgram(PATH, { ...options, args });
}

export interface OnTerminal {
  readonly child: ChildProcess;
  /** All that the terminal has got. */
  screen(): string;
  /** Types this. */
  type(keys: string): void;
  /** Its exit code. */
  readonly finished: Promise<number>;
}

/** Runs `fluent-forward` on a terminal. */
export function startOnTerminal(args: readonly string[], env: Record<string, string> = {}): OnTerminal {
  // `script` runs it by a shell, and that of Debian stays in between to die of the Ctrl-C itself.
  const command = ['exec', process.execPath, PATH, ...args].join(' ');
  const child = spawn('script', ['--quiet', '--return', '--flush', '--command', command, '/dev/null'], {
    // What the tests run with must not colour it.
    env: { ...process.env, TERM: 'xterm', FORCE_COLOR: undefined, NO_COLOR: undefined, CI: undefined, ...env },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  let screen = '';
  child.stdout.setEncoding('utf8').on('data', (text) => {
    screen += text;
  });
  return {
    child,
    screen: () => screen,
    type: (keys) => child.stdin.write(keys),
    finished: once(child, 'close').then(([code]) => code),
  };
}
