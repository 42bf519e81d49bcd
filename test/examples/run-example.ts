import { ForwardReceiver } from '../../src/testing/index.ts';
import { LONG_LIMITS } from '../support/long-limits.ts';
import { type Finished, type ProgramOptions, runProgram } from '../support/run-program.ts';

export function runExample(path: string, options: ProgramOptions = {}): Promise<Finished> {
  return runProgram(`examples/${path}`, { ...options, env: { ...LONG_LIMITS, ...options.env } });
}

/** An endpoint that refuses connections: its receiver is gone. */
export async function deadEndpoint(): Promise<string> {
  const receiver = await ForwardReceiver.listen();
  const { endpoint } = receiver;
  await receiver.close();
  return endpoint;
}
