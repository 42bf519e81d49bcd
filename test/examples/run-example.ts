import { ForwardReceiver } from '../../src/testing/index.ts';
import { type Finished, runProgram, type Surroundings } from '../support/run-program.ts';

export function runExample(path: string, surroundings?: Surroundings): Promise<Finished> {
  return runProgram(`examples/${path}`, surroundings);
}

/** An endpoint that refuses connections: its receiver is gone. */
export async function deadEndpoint(): Promise<string> {
  const receiver = await ForwardReceiver.listen();
  const { endpoint } = receiver;
  await receiver.close();
  return endpoint;
}
