import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { LONG_LIMIT_VARIABLES } from '../support/long-limits.ts';
import { type Finished, type ProgramOptions, runProgram, type Started, startProgram } from '../support/run-program.ts';

export type CliOptions = Omit<ProgramOptions, 'args'>;

/** The command as it is published. */
export const CLI_PATH = 'dist/esm/cli/main.js';

/** What the names of the exporter's environment variables begin with. */
export const VARIABLE_PREFIX = 'OTEL_EXPORTER_FLUENT_FORWARD_';

/** Runs `fluent-forward` with these arguments to its end, with {@link LONG_LIMIT_VARIABLES}. */
export function runCli(args: readonly string[], options?: CliOptions): Promise<Finished> {
  return runProgram(CLI_PATH, programOptions(args, options));
}

/** Starts `fluent-forward` with these arguments and {@link LONG_LIMIT_VARIABLES}. */
export function startCli(args: readonly string[], options?: CliOptions): Started {
  return startProgram(CLI_PATH, programOptions(args, options));
}

function programOptions(args: readonly string[], options: CliOptions = {}): ProgramOptions {
  return { ...options, args, env: { ...LONG_LIMIT_VARIABLES, ...options.env } };
}

export interface OnTerminal {
  readonly child: ChildProcess;
  /** Everything that was written to the terminal. */
  screen(): string;
  /** Sends these keys. */
  type(keys: string): void;
  /** The exit code. */
  readonly finished: Promise<number>;
}

/** Runs `fluent-forward` on a terminal, with {@link LONG_LIMIT_VARIABLES}. */
export function startOnTerminal(args: readonly string[], env: Record<string, string> = {}): OnTerminal {
  // `script` runs its command with a shell. Without `exec`, Debian's shell stays and dies of Ctrl-C itself.
  const command = ['exec', process.execPath, CLI_PATH, ...args].join(' ');
  const child = spawn('script', ['--quiet', '--return', '--flush', '--command', command, '/dev/null'], {
    // The settings of the test run must not decide about colours.
    env: {
      ...process.env,
      TERM: 'xterm',
      FORCE_COLOR: undefined,
      NO_COLOR: undefined,
      CI: undefined,
      ...LONG_LIMIT_VARIABLES,
      ...env,
    },
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
