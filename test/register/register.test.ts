import { createRequire } from 'node:module';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { ForwardReceiver } from '../../src/testing/index.ts';
import { DEAD_ENDPOINT } from '../examples/run-example.ts';
import { until } from '../support/fake-clock.ts';
import { SDK_LINE } from '../support/sdk-line.ts';
import { Application, type RunOptions } from './application.ts';

const require = createRequire(import.meta.url);

let receiver: ForwardReceiver;

beforeEach(async () => {
  receiver = await ForwardReceiver.listen();
});
afterEach(() => receiver.close());

const recordsOf = () => receiver.entries.map(({ record }) => record as Record<string, unknown>);
const messages = () => recordsOf().map(({ message }) => message);

describe('register', () => {
  let application: Application;
  let programs = 0;

  beforeAll(() => {
    application = new Application(SDK_LINE);
    application.write('hello.mjs', `import { logs } from '${SDK_LINE.api}'; ${HELLO}`);
    application.write('hello.cjs', `const { logs } = require('${SDK_LINE.api}'); ${HELLO}`);
  });
  afterAll(() => application.remove());

  /** Environment variables that lead to the receiver, and those given. */
  const withReceiver = ({ env, ...options }: RunOptions = {}): RunOptions => ({
    ...options,
    env: { OTEL_EXPORTER_FLUENT_FORWARD_ENDPOINT: receiver.endpoint, ...env },
  });

  const run = (file: string, options?: RunOptions) => application.run(file, withReceiver(options));

  /** Writes a program that has a `logger`, and `emit` for its texts. */
  function program(code: string): string {
    const file = `program-${++programs}.cjs`;
    application.write(
      file,
      `const { logs } = require('${SDK_LINE.api}');
       const logger = logs.getLogger('app');
       const emit = (body) => logger.emit({ body });
       ${code}`,
    );
    return file;
  }

  test.each([
    ['--import', 'hello.mjs'],
    ['--import', 'hello.cjs'],
    ['--require', 'hello.mjs'],
    ['--require', 'hello.cjs'],
  ] as const)('register loaded with %s sends what %s logs', async (flag, file) => {
    expect(await run(file, { flag })).toMatchObject({ code: 0, signal: null, stdout: '', stderr: '' });
    expect(recordsOf()).toEqual([
      expect.objectContaining({ message: 'hello', severity_number: 9, scope: { name: 'app' } }),
    ]);
  });

  test('register sends what is logged through either logs API of OpenTelemetry', async () => {
    const file = program(`
      for (const name of ['@opentelemetry/api', '@opentelemetry/api-logs']) {
        require(name).logs?.getLogger('app').emit({ body: name });
      }`);
    expect(await run(file)).toMatchObject({ code: 0, stderr: '' });
    expect(messages()).toEqual(
      SDK_LINE.api === '@opentelemetry/api' ? ['@opentelemetry/api', '@opentelemetry/api-logs'] : [SDK_LINE.api],
    );
  });

  describe('activation', () => {
    test('register is active if OTEL_LOGS_EXPORTER names fluent_forward beside other exporters', async () => {
      const env = { OTEL_LOGS_EXPORTER: 'otlp,fluent_forward' };
      expect(await run('hello.mjs', { env })).toMatchObject({ code: 0, stderr: '' });
      expect(messages()).toEqual(['hello']);
    });

    test('register steps aside with a warning if OTEL_LOGS_EXPORTER names only other exporters', async () => {
      const { code, stderr } = await run('hello.mjs', { env: { OTEL_LOGS_EXPORTER: 'console,otlp' } });
      expect(code).toBe(0);
      expectNotRegistered(
        stderr,
        'opentelemetry-exporter-fluent-forward/register steps aside and sends no log records: OTEL_LOGS_EXPORTER is console, otlp',
      );
      expect(stderr).toContain('set OTEL_LOGS_EXPORTER=fluent_forward');
      expect(receiver.connectionCount).toBe(0);
    });

    test('the warning that register steps aside escapes control characters', async () => {
      const { stderr } = await run('hello.mjs', { env: { OTEL_LOGS_EXPORTER: 'console\n\u001b[31mforged' } });
      expect(stderr).toContain('OTEL_LOGS_EXPORTER is console\\u{a}\\u{1b}[31mforged');
    });

    test('register steps aside without a warning if OTEL_SDK_DISABLED is true', async () => {
      const env = { OTEL_SDK_DISABLED: 'True', OTEL_LOGS_EXPORTER: 'otlp', OTEL_LOG_LEVEL: 'all' };
      expect(await run('hello.mjs', { env })).toMatchObject({ code: 0, stdout: '', stderr: '' });
      expect(receiver.connectionCount).toBe(0);
    });

    test('register is active and warns if OTEL_SDK_DISABLED is neither true nor false', async () => {
      const { code, stderr } = await run('hello.mjs', { env: { OTEL_SDK_DISABLED: '1' } });
      expect(code).toBe(0);
      expect(stderr).toContain('OTEL_SDK_DISABLED: got "1", allowed: true or false; using false');
      expect(messages()).toEqual(['hello']);
    });

    test('register steps aside with a warning if a logger provider is registered already', async () => {
      application.write(
        'other-provider.cjs',
        `require('${SDK_LINE.api}').logs.setGlobalLoggerProvider({
           getLogger: () => ({ emit: ({ body }) => process.stdout.write('other: ' + body) }),
         });`,
      );
      const { code, stdout, stderr } = await run('hello.cjs', {
        flag: '--require',
        before: ['--require', './other-provider.cjs'],
      });
      expect({ code, stdout }).toEqual({ code: 0, stdout: 'other: hello' });
      expectNotRegistered(
        stderr,
        'opentelemetry-exporter-fluent-forward/register steps aside and sends no log records: a logger provider is registered already',
      );
      expect(stderr).toContain('Set OTEL_LOGS_EXPORTER=fluent_forward');
      expect(receiver.connectionCount).toBe(0);
    });

    test('register steps aside and prints an install command if the SDK is not installed', async () => {
      const bare = new Application(SDK_LINE, ['@opentelemetry/api', '@msgpack/msgpack']);
      bare.write('app.mjs', "process.stdout.write('running')");
      const { code, stdout, stderr } = await bare.run('app.mjs', withReceiver());
      bare.remove();
      expect({ code, stdout }).toEqual({ code: 0, stdout: 'running' });
      expectNotRegistered(
        stderr,
        'opentelemetry-exporter-fluent-forward/register steps aside and sends no log records: @opentelemetry/sdk-logs is not installed',
      );
      expect(stderr).toMatch(/npm install @opentelemetry\/sdk-logs@(0\.223 @opentelemetry\/api@1\.9|3 .*@1\.10)$/m);
    });

    test.each(['0.57.2', '0.219.0', '0.300.0', '2.12.1', '4.0.0'])(
      'register steps aside and loads no SDK if the version of the SDK is %s',
      async (version) => {
        const other = new Application(SDK_LINE, ['@opentelemetry/api', '@msgpack/msgpack']);
        other.install('@opentelemetry/sdk-logs', version, "process.stdout.write('the SDK is loaded, ');");
        other.write('app.cjs', "process.stdout.write('running')");
        const { code, stdout, stderr } = await other.run('app.cjs', withReceiver());
        other.remove();
        expect({ code, stdout }).toEqual({ code: 0, stdout: 'running' });
        expectNotRegistered(
          stderr,
          `opentelemetry-exporter-fluent-forward/register steps aside and sends no log records: @opentelemetry/sdk-logs ${version} is installed, and >=0.220.0 <0.300.0 or ^3.0.0 is needed`,
        );
        expect(stderr).toContain('npm install @opentelemetry/sdk-logs@');
      },
    );

    test('register steps aside with an install command if the SDK cannot be loaded', async () => {
      const broken = new Application(SDK_LINE, ['@opentelemetry/api', '@msgpack/msgpack']);
      broken.install('@opentelemetry/sdk-logs', '3.0.0', "throw new Error('no such export')");
      broken.write('app.cjs', "process.stdout.write('running')");
      const { code, stdout, stderr } = await broken.run('app.cjs', withReceiver());
      broken.remove();
      expect({ code, stdout }).toEqual({ code: 0, stdout: 'running' });
      expectNotRegistered(
        stderr,
        'opentelemetry-exporter-fluent-forward/register steps aside and sends no log records: @opentelemetry/sdk-logs 3.0.0 cannot be loaded: no such export',
      );
      expect(stderr).toContain('npm install @opentelemetry/sdk-logs@');
    });

    test('register registers through the API of the application if this package has another version of it', async () => {
      const two = new Application(SDK_LINE);
      two.nestApi('1.9.0');
      two.write(
        'app.cjs',
        `const { trace } = require('@opentelemetry/api');
         process.stdout.write(String(trace.setGlobalTracerProvider({ getTracer: () => ({}) })));
         const { logs } = require('${SDK_LINE.api}'); ${HELLO}`,
      );
      const ended = await two.run('app.cjs', withReceiver());
      two.remove();
      expect(ended).toMatchObject({ code: 0, stdout: 'true', stderr: '' });
      expect(messages()).toEqual(['hello']);
    });

    test('register uses an SDK that only the application can import', async () => {
      // As with `npm link`: this package is elsewhere, and has its own API beside it.
      const elsewhere = new Application(SDK_LINE, ['@opentelemetry/api', '@msgpack/msgpack']);
      const register = require.resolve(`${elsewhere.package}/dist/cjs/register.js`);
      expect(await run('hello.mjs', { module: register })).toMatchObject({ code: 0, stderr: '' });
      elsewhere.remove();
      expect(messages()).toEqual(['hello']);
    });
  });

  describe('diag output of register', () => {
    const DEAD = { OTEL_EXPORTER_FLUENT_FORWARD_FLUSH_TIMEOUT: '1000' };

    test('register prints warnings of the processor by default', async () => {
      const endpoint = DEAD_ENDPOINT;
      const env = { ...DEAD, OTEL_EXPORTER_FLUENT_FORWARD_ENDPOINT: endpoint };
      const { code, stdout, stderr } = await run('hello.mjs', { env });
      expect({ code, stdout }).toEqual({ code: 0, stdout: '' });
      expect(stderr).toContain(`${endpoint}: connection refused`);
      expect(stderr).toContain(
        ': a flush has ended: no ack within 1000 ms (flushTimeoutMillis); 1 log record(s) are not acknowledged; they are kept, and sent again',
      );
    });

    test('register prints what OTEL_LOG_LEVEL allows', async () => {
      const env = { ...DEAD, OTEL_EXPORTER_FLUENT_FORWARD_ENDPOINT: DEAD_ENDPOINT };
      const [silent, talkative] = await Promise.all(
        ['none', 'Debug'].map((level) => run('hello.mjs', { env: { ...env, OTEL_LOG_LEVEL: level } })),
      );
      // What is lost with the process is written past `diag`.
      expect(silent?.stderr).toMatch(/^opentelemetry-exporter-fluent-forward: 1 log record\(s\) were lost .*\n$/);
      expect(talkative?.stdout).toContain('@opentelemetry/api: Registered a global for');
    });

    test('register warns of a bad OTEL_LOG_LEVEL and uses WARN', async () => {
      const { stderr } = await run('hello.mjs', { env: { OTEL_LOG_LEVEL: 'loud' } });
      expect(stderr).toMatch(/OTEL_LOG_LEVEL: got "loud", allowed: NONE, ERROR, .*; using WARN/);
    });

    test('register keeps the diag logger of the application if there is one', async () => {
      application.write(
        'own-diag.cjs',
        `const write = (message) => process.stdout.write('own: ' + message);
         require('@opentelemetry/api').diag.setLogger({ error: write, warn: (_, text) => write(text), info() {}, debug() {}, verbose() {} });`,
      );
      const { stdout, stderr } = await run('hello.cjs', {
        flag: '--require',
        before: ['--require', './own-diag.cjs'],
        env: { OTEL_BLRP_SCHEDULE_DELAY: 'x' },
      });
      expect(stdout).toContain('own: OTEL_BLRP_SCHEDULE_DELAY: got "x"');
      expect(stderr).toBe('');
    });
  });

  describe('variables of OpenTelemetry', () => {
    test('OTEL_BLRP_SCHEDULE_DELAY sets how long a record waits for others', async () => {
      const file = program("emit('early'); setTimeout(() => emit('late'), 100);");
      const env = { OTEL_BLRP_SCHEDULE_DELAY: '1' };
      expect(await run(file, { env })).toMatchObject({ code: 0, stderr: '' });
      // With the default both would go together, at the end.
      expect(receiver.messages.map(({ entries }) => entries.length)).toEqual([1, 1]);
    });

    test('OTEL_EXPORTER_FLUENT_FORWARD_SCHEDULE_DELAY takes precedence over OTEL_BLRP_SCHEDULE_DELAY', async () => {
      const file = program("emit('early'); setTimeout(() => emit('late'), 100);");
      const env = { OTEL_BLRP_SCHEDULE_DELAY: '1', OTEL_EXPORTER_FLUENT_FORWARD_SCHEDULE_DELAY: '60000' };
      expect(await run(file, { env })).toMatchObject({ code: 0, stderr: '' });
      expect(receiver.messages.map(({ entries }) => entries.length)).toEqual([2]);
    });

    test('register says at info which OTEL_BLRP variables have no effect', async () => {
      const env = { OTEL_BLRP_MAX_QUEUE_SIZE: '1', OTEL_BLRP_EXPORT_TIMEOUT: '1', OTEL_LOG_LEVEL: 'info' };
      const { code, stdout, stderr } = await run(program("for (let n = 0; n < 5; n++) emit('record ' + n);"), { env });
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      const names = 'OTEL_BLRP_EXPORT_TIMEOUT, OTEL_BLRP_MAX_QUEUE_SIZE';
      const message = `these variables have no effect: ${names}; FluentForwardLogRecordProcessor has no queue, and OTEL_EXPORTER_FLUENT_FORWARD_MAX_IN_FLIGHT_BYTES limits what it holds`;
      expect(stdout.split(message)).toHaveLength(2);
      expect(receiver.entryCount).toBe(5);
    });

    test('OTEL_LOGRECORD_ATTRIBUTE limits hold for records, and OTEL_ATTRIBUTE limits where those are unset', async () => {
      const file = program("logger.emit({ attributes: { a: 'abcdef', b: 'b', c: 'c' } });");
      const env = {
        OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT: '2',
        OTEL_ATTRIBUTE_COUNT_LIMIT: '1',
        OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT: '3',
      };
      await run(file, { env });
      expect(recordsOf()[0]).toMatchObject({ attributes: { a: 'abc', b: 'b' }, dropped_attributes_count: 1 });
    });

    test('OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME become attributes of the resource', async () => {
      const env = {
        OTEL_RESOURCE_ATTRIBUTES: 'service.name=other, deployment.environment.name=a%20%3D%2Cb',
        OTEL_SERVICE_NAME: 'shop',
      };
      expect(await run('hello.mjs', { env })).toMatchObject({ stderr: '' });
      expect(recordsOf()[0]?.resource).toEqual({
        'service.name': 'shop',
        'deployment.environment.name': 'a =,b',
        'telemetry.sdk.language': 'nodejs',
        'telemetry.sdk.name': 'opentelemetry',
        'telemetry.sdk.version': expect.any(String),
      });
    });
  });

  describe('what register says at info', () => {
    const INFO = { OTEL_LOG_LEVEL: 'info' };
    const SILENCE =
      'not one log record came in this process: does the application log through the logs API of OpenTelemetry, or is the instrumentation of its logger (pino, winston, bunyan) installed and loaded?';

    test('register says what it has set up', async () => {
      const env = {
        ...INFO,
        OTEL_EXPORTER_FLUENT_FORWARD_TAG: 'app.${severity_text:-none}',
        OTEL_EXPORTER_FLUENT_FORWARD_LAYOUT: 'flat',
      };
      const [plain, other] = await Promise.all([
        run('hello.mjs', { env: INFO }),
        run('hello.mjs', { env: { ...env, OTEL_SERVICE_NAME: 'shop' } }),
      ]);
      const start = `log records go to ${receiver.endpoint}, with the tag`;
      expect(plain?.stdout).toContain(
        `${start} "opentelemetry.logs", the layout "default" and the service name "unknown_service:`,
      );
      expect(other?.stdout).toContain(
        `${start} "app.\${severity_text:-none}", the layout "flat" and the service name "shop"`,
      );
      expect(plain?.stdout).not.toContain(SILENCE);
    });

    test('register says at the end if not one record came', async () => {
      const [talkative, usual] = await Promise.all(
        [INFO, {}].map((env) => run(program('process.exitCode = 3;'), { env })),
      );
      expect(talkative).toMatchObject({ code: 3, stdout: expect.stringContaining(SILENCE) });
      expect(usual).toMatchObject({ code: 3, stdout: '', stderr: '' });
    });
  });

  describe('what is detected for the resource', () => {
    const CONTAINER = '@opentelemetry/resource-detector-container';

    async function resourceWith(detectors: string, env: Record<string, string> = {}) {
      const { stderr } = await run('hello.mjs', { env: { OTEL_NODE_RESOURCE_DETECTORS: detectors, ...env } });
      return { resource: recordsOf()[0]?.resource as Record<string, unknown>, stderr };
    }

    test('nothing is detected unless OTEL_NODE_RESOURCE_DETECTORS asks for it', async () => {
      const { resource } = await resourceWith('none');
      expect(Object.keys(resource).filter((name) => !name.startsWith('telemetry.sdk.'))).toEqual(['service.name']);
    });

    test('the resource gets what OTEL_NODE_RESOURCE_DETECTORS names, and other variables win', async () => {
      const env = { OTEL_RESOURCE_ATTRIBUTES: 'host.name=mine' };
      const { resource, stderr } = await resourceWith('host, os,process,serviceinstance,env', env);
      expect(resource).toMatchObject({
        'host.name': 'mine',
        'host.arch': expect.any(String),
        'os.type': 'linux',
        'process.runtime.name': 'nodejs',
        'service.instance.id': expect.any(String),
      });
      expect(stderr).toBe('');
    });

    test('a detector of a package is used if it is installed, and all means all that are installed', async () => {
      application.install(
        CONTAINER,
        '0.8.0',
        "exports.containerDetector = { detect: () => ({ attributes: { 'container.id': Promise.resolve('c1') } }) };",
      );
      for (const detectors of ['container', 'all']) {
        const { resource, stderr } = await resourceWith(detectors);
        expect({ id: resource['container.id'], stderr }).toEqual({ id: 'c1', stderr: '' });
      }
    });

    test('a detector that throws, one that cannot be loaded and one that is missing do no harm', async () => {
      application.install(CONTAINER, '0.8.0', "exports.a = { detect() { throw new Error('boom'); } };");
      application.install('@opentelemetry/resource-detector-gcp', '0.8.0', "throw new Error('no such file');");
      const { resource, stderr } = await resourceWith('container,gcp,aws,clouds,host');
      expect(resource).toMatchObject({ 'host.name': expect.any(String) });
      const variable = 'OTEL_NODE_RESOURCE_DETECTORS: ';
      expect(stderr).toContain(
        `${variable}@opentelemetry/resource-detector-gcp cannot be loaded: no such file; it is left out`,
      );
      const aws = '@opentelemetry/resource-detector-aws';
      expect(stderr).toContain(`${variable}aws needs ${aws}: npm install ${aws}`);
      expect(stderr).toMatch(
        /OTEL_NODE_RESOURCE_DETECTORS: got "clouds", allowed: env, host, .*, none; it is left out/,
      );
    });
  });

  test('OTEL_NODE_EXPERIMENTAL_SDK_METRICS turns the metrics of the processor on', async () => {
    const file = program(`
      const { createNoopMeter, metrics } = require('@opentelemetry/api');
      metrics.setGlobalMeterProvider({
        getMeter: (name) => {
          process.stdout.write(name);
          return createNoopMeter();
        },
      });
      emit('one');`);
    const outputs = await Promise.all(
      ['true', 'false'].map((value) => run(file, { env: { OTEL_NODE_EXPERIMENTAL_SDK_METRICS: value } })),
    );
    expect(outputs.map(({ stdout }) => stdout)).toEqual(['opentelemetry-exporter-fluent-forward', '']);
  });

  describe('flush at the end of the process', () => {
    test('register flushes when a process has no more work and keeps its exit code', async () => {
      const file = program("emit('last words'); process.exitCode = 3;");
      expect(await run(file)).toMatchObject({ code: 3, signal: null, stderr: '' });
      expect(messages()).toEqual(['last words']);
    });

    test.each([
      // The flush repeats the event.
      ['at each event', "process.on('beforeExit', () => emit('bye'))", ['bye', 'bye']],
      [
        'when its work is done',
        "emit('work'); process.once('beforeExit', () => setTimeout(() => emit('done'), 100))",
        ['work', 'done'],
      ],
      [
        'as the first record of the process',
        "process.once('beforeExit', () => setTimeout(() => emit('done'), 100))",
        ['done'],
      ],
      ['in a later microtask', "process.once('beforeExit', async () => { await null; emit('done'); })", ['done']],
    ])('register sends what another listener of beforeExit logs %s', async (_, code, expected) => {
      expect(await run(program(code))).toMatchObject({ code: 0, stderr: '' });
      expect(messages()).toEqual(expected);
    });

    test('register flushes ten times at most for a beforeExit listener that logs each time', async () => {
      const file = program("process.prependListener('beforeExit', () => emit('bye'));");
      expect(await run(file)).toMatchObject({ code: 0, stderr: '' });
      // The last one is sent at exit.
      expect(messages()).toEqual(Array(11).fill('bye'));
    });

    test('register sends records that a beforeExit listener logs just before process.exit', async () => {
      const file = program(`
        let events = 0;
        process.on('beforeExit', () => {
          if (++events === 2) setTimeout(() => { emit('a'); emit('b'); process.exit(3); }, 50);
        });`);
      expect(await run(file)).toMatchObject({ code: 3, stderr: '' });
      expect(messages()).toEqual(['a', 'b']);
    });

    test('register sends records that are logged in the exit event', async () => {
      const file = program("emit('work'); for (const n of [1, 2]) process.on('exit', () => emit('late ' + n));");
      expect(await run(file)).toMatchObject({ code: 0, stderr: '' });
      expect(messages()).toEqual(['work', 'late 1', 'late 2']);
    });

    test.each([
      ['that has no more work', ''],
      ['that throws', "throw new Error('boom')"],
      ['that calls process.exit', 'process.exit(3)'],
    ])('register sends the records of a worker thread %s', async (_, end) => {
      const file = program(`
        const { isMainThread, Worker } = require('node:worker_threads');
        if (isMainThread) new Worker(__filename).on('error', () => {});
        else { emit('from the worker'); ${end} }`);
      expect(await run(file)).toMatchObject({ code: 0, stderr: '' });
      expect(messages()).toEqual(['from the worker']);
    });

    test.each([
      ['process.exit(3)', 3],
      ["throw new Error('boom')", 1],
    ])('register loses nothing when the program runs: %s', async (end, expected) => {
      const { code } = await run(program(`emit('a'); emit('b'); ${end};`));
      expect(code).toBe(expected);
      expect(messages()).toEqual(['a', 'b']);
    });

    test('a process without more work ends after one flush timeout, however many records nobody acknowledges', async () => {
      receiver.messageFaults = () => ({ kind: 'withhold' });
      const file = program(`
        for (let n = 0; n < 5000; n++) emit('record ' + n);
        process.prependListener('beforeExit', () => emit('bye'));`);
      const { code, stderr } = await run(file, { env: SHORT_LIMITS });
      expect(code).toBe(0);
      const flushes = stderr.matchAll(
        /a flush has ended: no ack within 500 ms \(flushTimeoutMillis\); 5001 log record/g,
      );
      expect([...flushes]).toHaveLength(1);
      expect(stderr).toContain(': 5002 log record(s) were lost when the process ended: ');
    });

    test('register loses no record when the application flushes and shuts down at the end', async () => {
      receiver.messageFaults = () => ({ kind: 'delay', millis: 20 });
      const file = program(`
        for (let n = 0; n < 2000; n++) emit('record ' + n);
        const provider = logs.getLoggerProvider();
        provider.forceFlush();
        setImmediate(() => provider.shutdown());`);
      expect(await run(file)).toMatchObject({ code: 0, stderr: '' });
      expect(receiver.entryCount).toBe(2000);
    });

    /** Starts a program that writes `ready` when it can be sent a signal. */
    async function started(code: string, env: Record<string, string> = {}, before: readonly string[] = []) {
      const file = program(
        `${WHEN_FLUSHING} ${code}; const alive = setInterval(() => {}, 1000); process.stdout.write('ready');`,
      );
      const process = application.start(
        file,
        withReceiver({ flag: '--require', before, env: { OTEL_BLRP_SCHEDULE_DELAY: '60000', ...env } }),
      );
      await process.wrote('ready');
      return process;
    }

    test.each(['SIGTERM', 'SIGINT'] as const)(
      'register flushes on %s, and the process dies of the signal',
      async (signal) => {
        const { child, finished } = await started("emit('last words')");
        child.kill(signal);
        expect(await finished).toMatchObject({ code: null, signal, stderr: '' });
        expect(messages()).toEqual(['last words']);
      },
    );

    // When register listens again, its flush is over and it has not ended the process.
    test('register flushes on a signal that the application handles, and the process goes on', async () => {
      const { child, finished, wrote } = await started(`
        emit('before');
        process.once('SIGTERM', () => {
          emit('while');
          process.stdout.write('handling');
          const flushed = setInterval(() => {
            if (process.listenerCount('SIGTERM') === 0) return;
            emit('behind');
            process.exitCode = 7;
            for (const timer of [flushed, alive]) clearInterval(timer);
          }, 10);
        });`);
      child.kill('SIGTERM');
      await wrote('handling');
      expect(await finished).toMatchObject({ code: 7, signal: null, stderr: '' });
      expect(messages()).toEqual(['before', 'while', 'behind']);
    });

    test('register flushes on a signal that a module loaded before handles', async () => {
      application.write(
        'handler.cjs',
        `process.once('SIGTERM', () => {
           setInterval(() => process.listenerCount('SIGTERM') > 0 && process.exit(7), 10);
         });`,
      );
      const { child, finished } = await started("emit('last words')", {}, ['--require', './handler.cjs']);
      child.kill('SIGTERM');
      expect(await finished).toMatchObject({ code: 7, signal: null, stderr: '' });
      expect(messages()).toEqual(['last words']);
    });

    test('register flushes on a signal that a prepended one-time listener handles', async () => {
      const { child, finished } = await started(`
        emit('last words');
        process.prependOnceListener('SIGTERM', () => {
          setInterval(() => process.listenerCount('SIGTERM') > 0 && process.exit(7), 10);
        });`);
      child.kill('SIGTERM');
      expect(await finished).toMatchObject({ code: 7, signal: null, stderr: '' });
      expect(messages()).toEqual(['last words']);
    });

    test('register sends what is logged while the flush on a signal runs', async () => {
      const { child, finished, wrote } = await started(`
        emit('before');
        whenFlushing(() => {
          emit('meanwhile');
          process.stdout.write('logged');
        });`);
      receiver.messageFaults = () => ({ kind: 'delay', until: wrote('logged') });
      child.kill('SIGTERM');
      expect(await finished).toMatchObject({ code: null, signal: 'SIGTERM', stderr: '' });
      expect(messages()).toEqual(['before', 'meanwhile']);
    });

    test('a process lives on if it begins to listen for the signal during the flush', async () => {
      const { child, finished, wrote } = await started(`
        emit('before');
        whenFlushing(() => {
          process.once('SIGTERM', () => {
            clearInterval(alive);
            emit('after');
          });
          process.stdout.write('listening');
        });`);
      receiver.messageFaults = [{ kind: 'delay', until: wrote('listening') }];
      child.kill('SIGTERM');
      expect(await finished).toMatchObject({ code: 0, signal: null, stderr: '' });
      expect(messages()).toEqual(['before', 'after']);
    });

    test('register sends what is logged during the last flush on a signal', async () => {
      const { child, finished, wrote } = await started(`
        emit('before');
        whenFlushing(() => setInterval(() => {
          emit('meanwhile');
          process.stdout.write('.');
        }, 1));`);
      // With the first ack one record has been logged meanwhile, with the second one more than were sent.
      let held = 0;
      receiver.messageFaults = ({ entries }) =>
        ++held > 2 ? undefined : { kind: 'delay', until: wrote('.'.repeat(receiver.entryCount + entries.length)) };
      child.kill('SIGTERM');
      const { signal, stderr, stdout } = await finished;
      expect({ signal, stderr }).toEqual({ signal: 'SIGTERM', stderr: '' });
      const logged = stdout.replace('ready', '').length;
      expect(new Set(messages())).toEqual(new Set(['before', 'meanwhile']));
      expect(messages().length).toBeGreaterThanOrEqual(1 + logged);
    });

    test('a process dies of SIGTERM after the flush timeout when nobody acknowledges', async () => {
      receiver.messageFaults = () => ({ kind: 'withhold' });
      const { child, finished } = await started(`${PRINT_FLUSHES} emit('unheard')`, SHORT_LIMITS);
      child.kill('SIGTERM');
      const { signal, stdout, stderr } = await finished;
      // Once: a second flush would take as long again.
      expect({ signal, stdout }).toEqual({ signal: 'SIGTERM', stdout: 'readyflush,' });
      expect(stderr).toContain('a flush has ended: no ack within 500 ms (flushTimeoutMillis); 1 log record(s)');
      expect(stderr).toContain(': 1 log record(s) were lost when the process ended: ');
    });

    test('register flushes on each of several signals that the application handles', async () => {
      // It listens again when a flush has ended.
      const { child, finished, wrote } = await started(`
        let flushes = 0;
        process.on('SIGINT', () => {
          emit('not now');
          const timer = setInterval(() => {
            if (process.listenerCount('SIGINT') === 1) return;
            clearInterval(timer);
            process.stdout.write('flush ' + ++flushes);
          }, 1);
        });`);
      for (const count of [1, 2]) {
        child.kill('SIGINT');
        await wrote(`flush ${count}`);
        expect(messages()).toEqual(Array(count).fill('not now'));
      }
      child.kill('SIGTERM');
      expect(await finished).toMatchObject({ code: null, signal: 'SIGTERM', stderr: '' });
    });

    test('a listener that ends the process when it is the only one does not see the listener of register', async () => {
      // As the package signal-exit does it.
      const { child, finished } = await started(`
        const listener = () => {
          if (process.listeners('SIGTERM').length > 1) return;
          process.off('SIGTERM', listener);
          process.kill(process.pid, 'SIGTERM');
        };
        process.on('SIGTERM', listener);`);
      child.kill('SIGTERM');
      expect(await finished).toMatchObject({ code: null, signal: 'SIGTERM' });
    });

    test.each([
      ['SIGTERM', 'SIGTERM'],
      ['SIGINT', 'SIGTERM'],
    ] as const)('a process that flushes because of %s dies at once of a second signal: %s', async (first, second) => {
      receiver.messageFaults = () => ({ kind: 'withhold' });
      const { child, finished } = await started("emit('unheard')", {
        OTEL_EXPORTER_FLUENT_FORWARD_ACK_TIMEOUT: '20000',
        OTEL_EXPORTER_FLUENT_FORWARD_FLUSH_TIMEOUT: '20000',
      });
      child.kill(first);
      await until(() => receiver.entryCount === 1);
      child.kill(second);
      expect(await finished).toMatchObject({ code: null, signal: second });
    });
  });
});

const SHORT_LIMITS = {
  OTEL_EXPORTER_FLUENT_FORWARD_FLUSH_TIMEOUT: '500',
  OTEL_EXPORTER_FLUENT_FORWARD_EXIT_TIMEOUT: '500',
};

const PRINT_FLUSHES = `
  const { FluentForwardLogRecordProcessor: { prototype } } = require('opentelemetry-exporter-fluent-forward');
  const { forceFlush } = prototype;
  prototype.forceFlush = function () {
    process.stdout.write('flush,');
    return forceFlush.call(this);
  };`;

/** Calls `act` once register flushes on a signal: until the flush ends it does not listen. */
const WHEN_FLUSHING = `
  const whenFlushing = (act) => {
    const timer = setInterval(() => {
      if (process.listenerCount('SIGTERM') > 0) return;
      clearInterval(timer);
      act();
    }, 1);
  };`;

const HELLO = "logs.getLogger('app').emit({ severityNumber: 9, body: 'hello' });";

function expectNotRegistered(stderr: string, message: string): void {
  expect(stderr).toContain(`[FLUENT_FORWARD_NOT_REGISTERED] Warning: ${message}`);
}
