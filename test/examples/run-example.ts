import { LONG_LIMIT_VARIABLES } from '../support/long-limits.ts';
import { type Finished, type ProgramOptions, runProgram } from '../support/run-program.ts';
import { SDK_LINE_OPTIONS } from '../support/sdk-line.ts';

export function runExample(path: string, options: ProgramOptions = {}): Promise<Finished> {
  return runProgram(`examples/${path}`, {
    ...options,
    nodeOptions: [...SDK_LINE_OPTIONS, ...(options.nodeOptions ?? [])],
    env: { ...LONG_LIMIT_VARIABLES, ...options.env },
  });
}

/** An endpoint that refuses connections: no program listens on port 1. */
export const DEAD_ENDPOINT = 'tcp://127.0.0.1:1';
