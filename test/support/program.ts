import { spawn } from 'node:child_process';

const root = new URL('../..', import.meta.url);

/** How a process ended. */
export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly millis: number;
}

/** Runs a program of the tests, given by its path in the project, with nothing but `variables` around it. */
export function runProgram(path: string, variables: Record<string, string>): Promise<Ended> {
  return run(process.execPath, [path], variables);
}

/** Runs it with a limit on its file descriptors. */
export function runWithFiles(limit: number, path: string, variables: Record<string, string>): Promise<Ended> {
  return run('sh', ['-c', `ulimit -n ${limit}; exec "$0" "$1"`, process.execPath, path], variables);
}

async function run(command: string, args: readonly string[], variables: Record<string, string>): Promise<Ended> {
  const start = performance.now();
  const child = spawn(command, args, { cwd: root, env: { PATH: process.env.PATH, ...variables } });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (data) => {
    stdout += data;
  });
  child.stderr.on('data', (data) => {
    stderr += data;
  });
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { code, stdout, stderr, millis: performance.now() - start };
}
