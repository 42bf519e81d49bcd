import { describe, expect, it } from 'vitest';
import type { ForwardReceiver } from '../../src/testing/index.ts';
import { bodiesOf, deadEndpoint, endpointOf, listen, runCode } from './program.ts';

const LIMIT_MILLIS = 1_000;
const LIMITS = {
  OTEL_EXPORTER_FLUENT_FORWARD_FLUSH_TIMEOUT: String(LIMIT_MILLIS),
  OTEL_EXPORTER_FLUENT_FORWARD_EXIT_TIMEOUT: String(LIMIT_MILLIS),
};
/** A process that waits longer than it may has one of the long limits. */
const IN_TIME_MILLIS = 20_000;

const LOST =
  /^opentelemetry-exporter-fluent-forward: (\d+) log record\(s\) were lost when the process ended: (.*); is the receiver up\? If it is slow, raise exitTimeoutMillis$/gm;

/** The numbers of lost records, and the parts of the message behind. */
function lossesIn(stderr: string) {
  return [...stderr.matchAll(LOST)].map(([, records, parts]) => ({ records: Number(records), parts }));
}

const EMIT_500 = 'for (let n = 0; n < 500; n++) emit(processor, n);';

function muteReceiver(): Promise<ForwardReceiver> {
  return listen({ messageFaults: () => ({ kind: 'withhold' }) });
}

describe('a process whose records are not acknowledged', () => {
  for (const [how, end] of [
    ['has no more work', ''],
    ['calls process.exit', 'process.exit(3);'],
  ] as const) {
    it(`ends in time and counts all its records if the receiver is dead: it ${how}`, async () => {
      const code = `const processor = new FluentForwardLogRecordProcessor(); ${EMIT_500} ${end}`;
      const endpoint = await deadEndpoint();
      const ended = await runCode(code, { ...LIMITS, OTEL_EXPORTER_FLUENT_FORWARD_ENDPOINT: endpoint });
      expect(ended).toMatchObject({ code: end === '' ? 0 : 3, signal: null });
      expect(ended.millis).toBeLessThan(IN_TIME_MILLIS);
      expect(lossesIn(ended.stderr)).toEqual([
        {
          records: 500,
          parts: expect.stringMatching(/^500 for tcp:.* \((no ack within 1000 ms|not sent, because no).*refused/),
        },
      ]);
    });

    it(`ends in time and counts all its records if the receiver never answers: it ${how}`, async () => {
      const receiver = await muteReceiver();
      const code = `const processor = new FluentForwardLogRecordProcessor(); ${EMIT_500} ${end}`;
      const ended = await runCode(code, { ...LIMITS, ...endpointOf(receiver) });
      expect(ended).toMatchObject({ code: end === '' ? 0 : 3, signal: null });
      expect(ended.millis).toBeGreaterThanOrEqual(LIMIT_MILLIS);
      expect(ended.millis).toBeLessThan(IN_TIME_MILLIS);
      const reason = `500 for ${receiver.endpoint} (no ack within 1000 ms (exitTimeoutMillis)`;
      expect(lossesIn(ended.stderr)).toEqual([{ records: 500, parts: expect.stringContaining(reason) }]);
    });
  }

  it('does not wait at exit if the last dial has just failed', async () => {
    const code = `
      import { subscribe } from 'node:diagnostics_channel';
      const processor = new FluentForwardLogRecordProcessor({ scheduledDelayMillis: 0 });
      emit(processor, 'one');
      subscribe('fluent-forward:connection:closed', () => process.exit());`;
    const ended = await runCode(code, { OTEL_EXPORTER_FLUENT_FORWARD_ENDPOINT: await deadEndpoint() });
    expect(ended.millis).toBeLessThan(IN_TIME_MILLIS);
    const parts = expect.stringMatching(
      /\(not sent, because no receiver could be reached just before; last fault: .*refused/,
    );
    expect(lossesIn(ended.stderr)).toEqual([{ records: 1, parts }]);
  });

  it('loses only the records of the pipeline whose receiver is dead', async () => {
    const receiver = await listen();
    const dead = await deadEndpoint();
    const code = `
      const processor = new FluentForwardLogRecordProcessor();
      const other = new FluentForwardLogRecordProcessor({ endpoint: '${dead}', exitTimeoutMillis: 1_000 });
      ${EMIT_500}
      emit(other, 'a', 'b');
      process.exit();`;
    const ended = await runCode(code, { ...endpointOf(receiver), ...LIMITS });
    expect(bodiesOf(receiver)).toHaveLength(500);
    expect(lossesIn(ended.stderr)).toEqual([{ records: 2, parts: expect.stringContaining(`2 for ${dead} (`) }]);
  });

  it('reports the records of several pipelines in one line', async () => {
    const [first, second] = [await deadEndpoint(), await deadEndpoint()];
    const code = `
      for (const endpoint of ['${first}', '${second}']) {
        emit(new FluentForwardLogRecordProcessor({ endpoint }), 'a', 'b');
      }
      process.exit();`;
    const { stderr } = await runCode(code, LIMITS);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(lossesIn(stderr)).toEqual([
      { records: 4, parts: expect.stringMatching(new RegExp(`^2 for ${first} \\(.+\\), 2 for ${second} \\(.+\\)$`)) },
    ]);
  });

  it('writes one more line for all that is logged and lost after the first one', async () => {
    const code = `
      const processor = new FluentForwardLogRecordProcessor();
      process.on('exit', () => {
        emit(processor, 2, 3, 4);
        const { dropped, held } = processor.stats();
        print([dropped.process_end, held.records]);
      });
      emit(processor, 1);
      process.exit();`;
    const endpoint = await deadEndpoint();
    const { stdout, stderr } = await runCode(code, { ...LIMITS, OTEL_EXPORTER_FLUENT_FORWARD_ENDPOINT: endpoint });
    expect(stderr.trim().split('\n')).toEqual([
      expect.stringContaining(': 1 log record(s) were lost when the process ended: '),
      expect.stringContaining(
        ': 1 log record(s) were lost when the process ended after these, and later ones are only counted: ',
      ),
    ]);
    expect(stdout).toBe('[4,0]');
  });

  it('sends what a subscriber logs elsewhere when a chunk is lost', async () => {
    const receiver = await listen();
    const code = `
      import { subscribe } from 'node:diagnostics_channel';
      const processor = new FluentForwardLogRecordProcessor();
      subscribe('fluent-forward:chunk:failed', ({ code }) => emit(processor, code));
      emit(new FluentForwardLogRecordProcessor({ endpoint: '${await deadEndpoint()}', exitTimeoutMillis: 1 }), 'lost');
      process.exit();`;
    await runCode(code, endpointOf(receiver));
    expect(bodiesOf(receiver)).toEqual(['FLUENT_FORWARD_PROCESS_END']);
  });

  it('counts the chunks of an exporter as failed', async () => {
    const code = `
      import { subscribe } from 'node:diagnostics_channel';
      const codes = [];
      subscribe('fluent-forward:chunk:failed', ({ code }) => codes.push(code));
      const exporter = new FluentForwardLogExporter();
      process.on('exit', () => print([exporter.stats().failed, codes]));
      exporter.export([recordOf('a'), recordOf('b')], () => print('never'));
      process.exit();`;
    const endpoint = await deadEndpoint();
    const { stdout, stderr } = await runCode(code, { ...LIMITS, OTEL_EXPORTER_FLUENT_FORWARD_ENDPOINT: endpoint });
    expect(lossesIn(stderr)).toMatchObject([{ records: 2 }]);
    expect(JSON.parse(stdout)).toEqual([
      { FLUENT_FORWARD_PROCESS_END: { records: 2, bytes: expect.any(Number), rawBytes: expect.any(Number) } },
      ['FLUENT_FORWARD_PROCESS_END'],
    ]);
  });
});
