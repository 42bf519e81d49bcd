import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { ForwardReceiver } from '../../src/testing/index.ts';

export interface Finished {
  /** Null when it was killed because it did not end by itself. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const LIMIT_MILLIS = 30_000;

/** Runs an example as a user does, with no OpenTelemetry variables but those given. */
export async function runExample(
  path: string,
  { args = [], env = {} }: { args?: readonly string[]; env?: Record<string, string> } = {},
): Promise<Finished> {
  const inherited = Object.entries(process.env).filter(
    ([name]) => !/^(OTEL_|NO_COLOR$|FORCE_COLOR$|NODE_OPTIONS$)/.test(name),
  );
  const child = spawn(process.execPath, [fileURLToPath(new URL(`../../examples/${path}`, import.meta.url)), ...args], {
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
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, ...output };
}

/** An endpoint that refuses connections: its receiver is gone. */
export async function deadEndpoint(): Promise<string> {
  const receiver = await ForwardReceiver.listen();
  const { endpoint } = receiver;
  await receiver.close();
  return endpoint;
}
