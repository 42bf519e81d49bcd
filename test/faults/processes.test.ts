import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { ForwardReceiver, type ForwardReceiverOptions } from '../../src/testing/index.ts';
import { textOf } from '../support/exporter-fixture.ts';
import { until } from '../support/fake-clock.ts';
import { LONG_LIMIT_VARIABLES } from '../support/long-limits.ts';
import { type Finished, runProgram, startProgram } from '../support/run-program.ts';

/** An exporter in a process of its own, whose end is tested. */
interface ProcessCase {
  readonly name: string;
  readonly receiver?: ForwardReceiverOptions;
  readonly run: (env: Record<string, string>) => Promise<Finished>;
  /** The code that the callback got; the empty string if it was not called. */
  readonly result: '0' | '1' | '';
  /** Default 0. */
  readonly takesAtLeast?: number;
  readonly stderr: RegExp;
  readonly received: number;
}

const timeout = (millis: number) => ({ ...LONG_LIMIT_VARIABLES, OTEL_EXPORTER_FLUENT_FORWARD_TIMEOUT: String(millis) });
const NOTHING = /^$/;
/** One that waits for the deadline of an acknowledged export takes 90 s; one that never ends is killed after 100 s. */
const MAX_MILLIS = 60_000;

const cases: readonly ProcessCase[] = [
  {
    name: 'a process that comes to its end waits for the ack and not for the deadline',
    receiver: { messageFaults: [{ kind: 'delay', millis: 500 }] },
    run: (env) => runProgram('test/faults/exit.mjs', { env: { ...timeout(90_000), ...env } }),
    result: '0',
    takesAtLeast: 500,
    stderr: NOTHING,
    received: 1,
  },
  {
    name: 'a process that comes to its end waits for the deadline if no ack arrives',
    receiver: { messageFaults: () => ({ kind: 'withhold' }) },
    run: (env) => runProgram('test/faults/exit.mjs', { env: { ...timeout(5_000), ...env } }),
    result: '1',
    takesAtLeast: 5_000,
    stderr: /\[FLUENT_FORWARD_EXPORT_FAILED\] Warning: 1 of 1 log records were not acknowledged/,
    received: 1,
  },
  {
    name: 'a process that calls process.exit right after an export sends the record, although the export has no result',
    run: (env) => runProgram('test/faults/exit.mjs', { env: { ...env, EXIT: 'now' } }),
    result: '',
    stderr: NOTHING,
    received: 1,
  },
  {
    name: 'the exporter delivers a record once a process without free file descriptors closes some',
    run: (env) => runProgram('test/faults/emfile.mjs', { env: { ...LONG_LIMIT_VARIABLES, ...env }, files: 128 }),
    result: '0',
    stderr: /^EMFILE\n.*the connect failed: connect EMFILE/,
    received: 1,
  },
];

describe.concurrent('processes that export', () => {
  for (const { name, receiver: options, run, result, takesAtLeast = 0, stderr, received } of cases) {
    it(name, async () => {
      const receiver = await ForwardReceiver.listen(options);
      const ended = await run({ OTEL_EXPORTER_FLUENT_FORWARD_ENDPOINT: receiver.endpoint });
      expect(ended).toMatchObject({ code: 0, stdout: result, stderr: expect.stringMatching(stderr) });
      expect(ended.millis).toBeGreaterThanOrEqual(takesAtLeast);
      expect(ended.millis).toBeLessThan(MAX_MILLIS);
      expect(receiver.messages.map(textOf)).toEqual(Array.from({ length: received }, () => 'record 0'));
      await until(() => receiver.openConnections === 0);
      await receiver.close();
    });
  }

  it('beginning and end of failed exports are on standard error without any set-up', async () => {
    const env = { OTEL_EXPORTER_FLUENT_FORWARD_ENDPOINT: 'tcp://127.0.0.1:1', ...timeout(1_000) };
    const ended = await runProgram('test/faults/failed-exports.mjs', { env });
    const warnings = ended.stderr.match(/(?<=\[FLUENT_FORWARD_EXPORT_FAILED\] Warning: ).*/g);
    expect({ code: ended.code, warnings }).toEqual({
      code: 0,
      warnings: [
        expect.stringMatching(/^2 of 2 log records were not acknowledged by tcp:.*connection refused/),
        expect.stringMatching(/: 3 export\(s\) with 6 unacknowledged log record\(s\) failed in /),
      ],
    });
    expect(ended.stderr.match(/diag has no logger/g)).toHaveLength(1);
  });

  it('beginning and end of dropped records are on standard error without any set-up', async () => {
    const [closed, ended] = await Promise.all([
      runProgram('test/faults/dropped-records.mjs', { env: { SHUTDOWN: 'yes' } }),
      runProgram('test/faults/dropped-records.mjs'),
    ]);
    const begin = expect.stringMatching(/: 1 log record\(s\) dropped so far \(ERROR 1\): .* no layout for it\); /);
    const end = expect.stringContaining(': 1000 log record(s) dropped in ');
    const warnings = ({ code, stderr }: Finished) => ({
      code,
      warnings: stderr.match(/(?<=\[FLUENT_FORWARD_RECORDS_DROPPED\] Warning: ).*/g),
    });
    expect(warnings(closed)).toEqual({ code: 0, warnings: [begin, end] });
    expect(warnings(ended)).toEqual({ code: 0, warnings: [begin] });
    // The timer that waits for the end does not hold the process.
    expect(ended.millis).toBeLessThan(MAX_MILLIS);
  });

  it('a fault of the exporter is not reported as an answer of the server', async () => {
    const receiver = await ForwardReceiver.listen();
    const env = { ...LONG_LIMIT_VARIABLES, OTEL_EXPORTER_FLUENT_FORWARD_ENDPOINT: receiver.endpoint };
    const { stdout } = await runProgram('test/faults/internal-fault.mjs', { env });
    expect(stdout).toBe('uncaught: a fault of our own\n');
    await receiver.close();
  });

  for (const more of ['', 'and nextTick ']) {
    it(`exports succeed after fake timers ${more}were in place while a chunk was sent and its ack was lost`, async () => {
      const receiver = await ForwardReceiver.listen({ messageFaults: [{ kind: 'withhold' }] });
      const env = {
        ...timeout(90_000),
        OTEL_EXPORTER_FLUENT_FORWARD_ENDPOINT: receiver.endpoint,
        // What the fakes have swallowed is noticed after this time.
        OTEL_EXPORTER_FLUENT_FORWARD_ACK_TIMEOUT: '2000',
        OTEL_EXPORTER_FLUENT_FORWARD_CONNECT_TIMEOUT: '2000',
        ...(more === '' ? {} : { NEXT_TICK: 'faked' }),
      };
      const { stdout } = await runProgram('test/faults/fake-timers.mjs', { env });
      expect(stdout).toBe('true 0 0');
      await receiver.close();
    });
  }

  for (const [what, resets] of [
    ['stays', false],
    ['is reset meanwhile', true],
  ] as const) {
    it(`an export succeeds although its process is frozen past the deadline if the connection ${what}`, async () => {
      const receiver = await ForwardReceiver.listen();
      const env = {
        ...LONG_LIMIT_VARIABLES,
        OTEL_EXPORTER_FLUENT_FORWARD_TIMEOUT: String(FROZEN_MILLIS / 2),
        OTEL_EXPORTER_FLUENT_FORWARD_ENDPOINT: receiver.endpoint,
      };
      const { child, finished } = startProgram('test/faults/frozen.mjs', { env });
      await receiver.waitForEntries(1);
      await until(() => isStopped(child.pid));
      if (resets) receiver.resetConnections();
      await sleep(FROZEN_MILLIS);
      child.kill('SIGCONT');
      expect(await finished).toMatchObject({ code: 0, stdout: '0 0' });
      await receiver.close();
    });
  }
});

/** For how long a process is frozen. */
const FROZEN_MILLIS = 6_000;

/** Whether a process is stopped by a signal. */
function isStopped(pid: number | undefined): boolean {
  return /^State:\s+T/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
}
