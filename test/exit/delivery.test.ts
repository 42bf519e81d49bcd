import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { bodiesOf, endpointOf, listen, runCode, runModule } from './program.ts';

/** Runs code that ends with the records, and expects that they arrive, and nothing on standard error. */
async function expectArrival(code: string, bodies: readonly unknown[], env: Record<string, string> = {}) {
  const receiver = await listen();
  const ended = await runCode(code, { ...endpointOf(receiver), ...env });
  expect({ bodies: bodiesOf(receiver), stderr: ended.stderr }).toEqual({ bodies, stderr: '' });
  return { ...ended, receiver };
}

describe('records at the end of a process', () => {
  it('arrive from exit listeners, and the exit code stays', async () => {
    const code = `
      const processor = new FluentForwardLogRecordProcessor();
      emit(processor, 'before');
      process.on('exit', (code) => emit(processor, 'exit with ' + code));
      process.on('exit', () => {
        emit(processor, 'last');
        const { acknowledged, emitted, held, dropped } = processor.stats();
        print([emitted, acknowledged.records, held, dropped.process_end]);
      });
      process.exit(7);`;
    const ended = await expectArrival(code, ['before', 'exit with 7', 'last']);
    expect(ended).toMatchObject({ code: 7, stdout: '[3,3,{"records":0,"bytes":0},0]' });
  });

  it('arrive although a later exit listener ends the process at once', async () => {
    const code = `
      const processor = new FluentForwardLogRecordProcessor();
      process.on('exit', () => process.exit(4));
      emit(processor, 'one');
      process.exit();`;
    expect(await expectArrival(code, ['one'])).toMatchObject({ code: 4 });
  });

  it('arrive from twelve processors and twelve exporters without a warning', async () => {
    const code = `
      for (let n = 0; n < 12; n++) {
        emit(new FluentForwardLogRecordProcessor(), 'processor');
        new FluentForwardLogExporter().export([recordOf('exporter')], () => {});
      }
      process.exit();`;
    const receiver = await listen();
    const { stderr } = await runCode(code, endpointOf(receiver));
    expect(stderr).toBe('');
    const bodies = bodiesOf(receiver);
    const count = (wanted: string) => bodies.filter((body) => body === wanted).length;
    expect([count('processor'), count('exporter')]).toEqual([12, 12]);
  });

  it('arrive if process.exit is called while shutdown runs', async () => {
    const code = `
      const processor = new FluentForwardLogRecordProcessor();
      emit(processor, 'one');
      processor.shutdown();
      process.exit();`;
    await expectArrival(code, ['one']);
  });

  it('arrive if process.exit is called while another record is encoded, which is counted as lost', async () => {
    const receiver = await listen();
    const code = `
      const processor = new FluentForwardLogRecordProcessor();
      emit(processor, 'one');
      process.on('exit', () => {
        const { acknowledged, emitted, held, dropped } = processor.stats();
        print([emitted, acknowledged.records, held.records, dropped.process_end]);
      });
      processor.onEmit(recordOf('two', { a: 1, get b() { process.exit(); } }));`;
    const { stdout, stderr } = await runCode(code, endpointOf(receiver));
    expect(bodiesOf(receiver)).toEqual(['one']);
    expect(stdout).toBe('[2,1,0,1]');
    expect(stderr).toMatch(
      /: 1 log record\(s\) were lost when the process ended: .*while they were being encoded\); is the receiver up\? .*\n$/,
    );
  });

  it('arrive from an exit listener whose record logs another one while it is encoded', async () => {
    const code = `
      const processor = new FluentForwardLogRecordProcessor();
      const log = (body) => processor.onEmit(recordOf(body, { get inner() { emit(processor, 'in ' + body); return 1; } }));
      process.on('exit', () => log('late'));
      emit(processor, 'one');
      process.exit();`;
    await expectArrival(code, ['one', 'in late', 'late']);
  });

  it('arrive from code of the application that logs while they are handed over', async () => {
    const code = `
      const processor = new FluentForwardLogRecordProcessor();
      let isLogged = false;
      const resource = {
        asyncAttributesPending: true,
        waitForAsyncAttributes: () => new Promise(() => {}),
        getRawAttributes: () => [['host', { get name() {
          if (!isLogged) { isLogged = true; return 'a'; }
          emit(processor, 'meanwhile');
          return 'a';
        } }]],
        attributes: {},
      };
      processor.onEmit({ ...recordOf('pending'), resource });
      process.exit();`;
    const receiver = await listen();
    const { stderr } = await runCode(code, endpointOf(receiver));
    expect(new Set(bodiesOf(receiver))).toEqual(new Set(['pending', 'meanwhile']));
    expect(stderr).not.toContain('lost');
  });

  it('arrive with what is known of a resource that is pending', async () => {
    const receiver = await listen();
    const code = `
      const resource = {
        asyncAttributesPending: true,
        waitForAsyncAttributes: () => new Promise(() => {}),
        getRawAttributes: () => [['known', 1], ['pending', new Promise(() => {})]],
        attributes: {},
      };
      new FluentForwardLogRecordProcessor().onEmit({ ...recordOf('one'), resource });
      process.exit();`;
    await runCode(code, endpointOf(receiver));
    expect(receiver.entries.map(({ record }) => record)).toEqual([{ message: 'one', resource: { known: 1 } }]);
  });

  it('arrive from chunks that are being compressed, that are open, and that are sent', async () => {
    const receiver = await listen({
      messageFaults: ({ entries }) => (entries.length > 1 ? { kind: 'delay', millis: 50 } : undefined),
    });
    const code = `
      const processor = new FluentForwardLogRecordProcessor({ compression: 'gzip', tag: ({ body }) => 'tag.' + body % 7 });
      for (let n = 0; n < 20_000; n++) processor.onEmit(recordOf(n, { text: 'a text of some length, ' + n }));
      setTimeout(() => {
        for (let n = 20_000; n < 21_000; n++) emit(processor, n);
        process.exit();
      }, 20);`;
    const { stderr } = await runCode(code, endpointOf(receiver));
    expect(stderr).toBe('');
    expect(new Set(bodiesOf(receiver)).size).toBe(21_000);
  });

  it('are sent again under the same chunk id if they had no ack', async () => {
    let isFirst = true;
    const receiver = await listen({
      messageFaults: () => {
        const fault = isFirst ? ({ kind: 'withhold' } as const) : undefined;
        isFirst = false;
        return fault;
      },
    });
    const code = `
      const processor = new FluentForwardLogRecordProcessor({ scheduledDelayMillis: 0 });
      emit(processor, 'one');
      const timer = setInterval(() => {
        if (processor.stats().sent.records === 0) return;
        setTimeout(() => process.exit(), 200);
        clearInterval(timer);
      });`;
    const { stderr } = await runCode(code, endpointOf(receiver));
    expect(stderr).toBe('');
    const ids = receiver.messages.map(({ option }) => option.chunk);
    expect(ids).toHaveLength(2);
    expect(new Set(ids).size).toBe(1);
  });
});

it('the example of flushOnSignals in README.md sends the last record, and the process dies of the signal', async () => {
  const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
  const [, example] = /<!-- flush on signals -->\n```js\n([\s\S]*?)```/.exec(readme) ?? [];
  const receiver = await listen();
  const code = `${example}
    processor.onEmit({ hrTime: [1_700_000_000, 0], body: 'one', attributes: {}, resource: { attributes: {} } });
    setInterval(() => {}, 1_000);
    process.kill(process.pid, 'SIGTERM');`;
  const { signal, stderr } = await runModule(code, endpointOf(receiver));
  expect({ signal, stderr, bodies: bodiesOf(receiver) }).toEqual({ signal: 'SIGTERM', stderr: '', bodies: ['one'] });
});

describe('the listeners of the end of a process', () => {
  // Node.js may have listeners of its own.
  const COUNTS = "['beforeExit', 'exit'].map((event) => process.listenerCount(event) - own[event])";
  const OWN =
    "const own = Object.fromEntries(['beforeExit', 'exit'].map((event) => [event, process.listenerCount(event)]));";

  it('are one for each event, also if the package is loaded twice', async () => {
    const code = `
      import { createRequire } from 'node:module';
      const required = createRequire(process.cwd() + '/x.js')('opentelemetry-exporter-fluent-forward');
      ${OWN}
      const processors = [new FluentForwardLogRecordProcessor(), new required.FluentForwardLogRecordProcessor()];
      const with2 = ${COUNTS};
      for (const processor of processors) emit(processor, 'one');
      print(with2);
      process.exit();`;
    const { stdout } = await expectArrival(code, ['one', 'one']);
    expect(stdout).toBe('[1,1]');
  });

  it('are removed when the last pipeline is shut down', async () => {
    const code = `
      ${OWN}
      const [one, two] = [new FluentForwardLogRecordProcessor(), new FluentForwardLogExporter()];
      await one.shutdown();
      const with1 = ${COUNTS};
      await two.shutdown();
      print([with1, ${COUNTS}]);`;
    expect((await expectArrival(code, [])).stdout).toBe('[[1,1],[0,0]]');
  });

  it('are not there with flushAtExit: false, and nothing is sent or written', async () => {
    const code = `
      ${OWN}
      const processor = new FluentForwardLogRecordProcessor();
      emit(processor, 'one');
      print(${COUNTS});
      process.exit();`;
    const env = { OTEL_EXPORTER_FLUENT_FORWARD_FLUSH_AT_EXIT: 'false' };
    expect((await expectArrival(code, [], env)).stdout).toBe('[0,0]');
  });

  it('do no harm if somebody else emits the event and the process goes on', async () => {
    const code = `
      const processor = new FluentForwardLogRecordProcessor();
      emit(processor, 'one');
      process.emit('exit', 0);
      setTimeout(async () => {
        emit(processor, 'two');
        await processor.forceFlush();
        const { sent, acknowledged } = processor.stats();
        print([sent.records, acknowledged.records]);
      }, 50);`;
    expect((await expectArrival(code, ['one', 'two'])).stdout).toBe('[1,2]');
  });

  it('of flushOnSignals are one for each signal, however often it is called', async () => {
    const receiver = await listen();
    const code = `
      import { createRequire } from 'node:module';
      const required = createRequire(process.cwd() + '/x.js')('opentelemetry-exporter-fluent-forward');
      const [one, two] = [new FluentForwardLogRecordProcessor(), new required.FluentForwardLogRecordProcessor()];
      flushOnSignals(one);
      required.flushOnSignals(two);
      emit(one, 'one');
      emit(two, 'two');
      setInterval(() => {}, 1_000);
      process.kill(process.pid, 'SIGTERM');`;
    const { signal, stderr } = await runCode(code, endpointOf(receiver));
    expect({ signal, stderr }).toEqual({ signal: 'SIGTERM', stderr: '' });
    expect(new Set(bodiesOf(receiver))).toEqual(new Set(['one', 'two']));
  });

  it('of flushOnSignals stay one if it is ended and called again while a signal is handled', async () => {
    const code = `
      const processor = new FluentForwardLogRecordProcessor();
      let remove = flushOnSignals(processor);
      const alive = setInterval(() => {}, 1_000);
      process.on('SIGTERM', () => {
        remove();
        remove = flushOnSignals(processor);
        setTimeout(() => {
          print(process.listenerCount('SIGTERM'));
          clearInterval(alive);
        }, 500);
      });
      process.kill(process.pid, 'SIGTERM');`;
    // That of the program, and ours.
    expect((await expectArrival(code, [])).stdout).toBe('2');
  });

  it('of flushOnSignals are removed by the function that it returns', async () => {
    const code = `
      const counts = () => ['SIGTERM', 'SIGINT', 'removeListener'].map((event) => process.listenerCount(event));
      const before = counts();
      const remove = flushOnSignals(new FluentForwardLogRecordProcessor());
      const with1 = counts();
      remove();
      print([with1.map((count, i) => count - before[i]), counts().map((count, i) => count - before[i])]);`;
    expect((await expectArrival(code, [])).stdout).toBe('[[1,1,1],[0,0,0]]');
  });
});
