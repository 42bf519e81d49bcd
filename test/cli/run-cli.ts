import { type Finished, runProgram, type Surroundings, startProgram } from '../support/run-program.ts';

/** The command as it is published. */
const PATH = 'dist/esm/cli/main.js';

/** Runs `fluent-forward` with these arguments to its end. */
export function runCli(args: readonly string[], surroundings?: Omit<Surroundings, 'args'>): Promise<Finished> {
  return runProgram(PATH, { ...surroundings, args });
}

export function startCli(args: readonly string[], surroundings?: Omit<Surroundings, 'args'>) {
  return startProgram(PATH, { ...surroundings, args });
}
