import { describe, expect, it } from 'vitest';
import { ForwardReceiver, type ForwardReceiverOptions } from '../../src/testing/index.ts';
import { textOf } from '../support/cases.ts';
import { until } from '../support/fake-clock.ts';
import { type Ended, runProgram, runWithFiles } from '../support/program.ts';

/** An end of the process that exports: there is no exporter here to ask. */
interface Row {
  readonly name: string;
  readonly receiver?: ForwardReceiverOptions;
  readonly run: (variables: Record<string, string>) => Promise<Ended>;
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

const rows: readonly Row[] = [
  {
    name: 'comes to its end, and waits for the ack',
    receiver: { messageFaults: [{ kind: 'delay', millis: 500 }] },
    run: (variables) => runProgram('test/faults/exit.mjs', variables),
    result: '0',
    takes: { from: 500, to: 5_000 },
    stderr: NOTHING,
    received: 1,
  },
  {
    name: 'comes to its end, and waits for the deadline where no ack comes',
    receiver: { messageFaults: () => ({ kind: 'withhold' }) },
    run: (variables) => runProgram('test/faults/exit.mjs', { ...TIMEOUT, ...variables }),
    result: '1',
    takes: { from: 700, to: 5_000 },
    stderr: /\[FLUENT_FORWARD_EXPORT_FAILED\] Warning: 1 of 1 log records were not acknowledged/,
    received: 1,
  },
  {
    name: 'calls process.exit(), which loses the record',
    run: (variables) => runProgram('test/faults/exit.mjs', { ...variables, EXIT: 'now' }),
    result: '',
    takes: AT_ONCE,
    stderr: NOTHING,
    received: 0,
  },
  {
    name: 'has no file descriptor left, and gets them back',
    run: (variables) => runWithFiles(64, 'test/faults/emfile.mjs', variables),
    result: '0',
    takes: AT_ONCE,
    stderr: /^EMFILE\n.*the connect failed: connect EMFILE/,
    received: 1,
  },
];

describe.concurrent('a process', () => {
  for (const { name, receiver: options, run, result, takes, stderr, received } of rows) {
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
