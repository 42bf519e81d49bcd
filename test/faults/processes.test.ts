import { describe, expect, it } from 'vitest';
import { ForwardReceiver, type ForwardReceiverOptions } from '../../src/testing/index.ts';
import { textOf } from '../support/exporter-fixture.ts';
import { until } from '../support/fake-clock.ts';
import { type Finished, runProgram } from '../support/run-program.ts';

/** An end of the process that exports: there is no exporter here to ask. */
interface ProcessCase {
  readonly name: string;
  readonly receiver?: ForwardReceiverOptions;
  readonly run: (env: Record<string, string>) => Promise<Finished>;
  /** What the callback was given; the empty string when it was not called. */
  readonly result: '0' | '1' | '';
  readonly takes: { readonly from: number; readonly to: number };
  readonly stderr: RegExp;
  readonly received: number;
}

const TIMEOUT = { OTEL_EXPORTER_FLUENT_FORWARD_TIMEOUT: '700' };
const NOTHING = /^$/;
/** Generous: the machine may be busy. */
const AT_ONCE = { from: 0, to: 5_000 };

const cases: readonly ProcessCase[] = [
  {
    name: 'comes to its end, and waits for the ack',
    receiver: { messageFaults: [{ kind: 'delay', millis: 500 }] },
    run: (env) => runProgram('test/faults/exit.mjs', { env }),
    result: '0',
    takes: { from: 500, to: 5_000 },
    stderr: NOTHING,
    received: 1,
  },
  {
    name: 'comes to its end, and waits for the deadline where no ack comes',
    receiver: { messageFaults: () => ({ kind: 'withhold' }) },
    run: (env) => runProgram('test/faults/exit.mjs', { env: { ...TIMEOUT, ...env } }),
    result: '1',
    takes: { from: 700, to: 5_000 },
    stderr: /\[FLUENT_FORWARD_EXPORT_FAILED\] Warning: 1 of 1 log records were not acknowledged/,
    received: 1,
  },
  {
    name: 'calls process.exit(), which loses the record',
    run: (env) => runProgram('test/faults/exit.mjs', { env: { ...env, EXIT: 'now' } }),
    result: '',
    takes: AT_ONCE,
    stderr: NOTHING,
    received: 0,
  },
  {
    name: 'has no file descriptor left, and gets them back',
    run: (env) => runProgram('test/faults/emfile.mjs', { env, files: 64 }),
    result: '0',
    takes: AT_ONCE,
    stderr: /^EMFILE\n.*the connect failed: connect EMFILE/,
    received: 1,
  },
];

describe.concurrent('a process', () => {
  for (const { name, receiver: options, run, result, takes, stderr, received } of cases) {
    it(name, async () => {
      const receiver = await ForwardReceiver.listen(options);
      const ended = await run({ OTEL_EXPORTER_FLUENT_FORWARD_ENDPOINT: receiver.endpoint });
      expect(ended).toMatchObject({ code: 0, stdout: result, stderr: expect.stringMatching(stderr) });
      expect(ended.millis).toBeGreaterThanOrEqual(takes.from);
      expect(ended.millis).toBeLessThan(takes.to);
      expect(receiver.messages.map(textOf)).toEqual(Array.from({ length: received }, () => 'record 0'));
      await until(() => receiver.openConnections === 0);
      await receiver.close();
    });
  }
});
