import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { ForwardReceiver } from '../../../src/testing/index.ts';
import { Application, type RunOptions } from '../../register/application.ts';
import { installLocked } from '../registry.mjs';
import { INSTRUMENTED_LINES, INSTRUMENTED_PACKAGES } from './auto-instrumentations.ts';

const INSTALL_LIMIT_MILLIS = 300_000;
const AUTO = '@opentelemetry/auto-instrumentations-node/register';

/** Only the instrumentations of logs, and no exporter that would send anything off the machine. */
const ONLY_LOGS = {
  OTEL_TRACES_EXPORTER: 'none',
  OTEL_METRICS_EXPORTER: 'none',
  OTEL_NODE_RESOURCE_DETECTORS: 'none',
  OTEL_NODE_ENABLED_INSTRUMENTATIONS: 'pino,winston',
};

let receiver: ForwardReceiver;

beforeEach(async () => {
  receiver = await ForwardReceiver.listen();
});
afterEach(() => receiver.close());

describe.each(INSTRUMENTED_LINES)('register beside auto-instrumentations on $name', (line) => {
  let application: Application;

  beforeAll(async () => {
    await installLocked(line.home);
    application = new Application(line, INSTRUMENTED_PACKAGES);
    application.write('loggers.cjs', LOGGERS);
    application.write('instrumentations.cjs', INSTRUMENTATIONS);
  }, INSTALL_LIMIT_MILLIS);
  afterAll(() => application.remove());

  const run = ({ env, ...options }: RunOptions) =>
    application.run('loggers.cjs', {
      ...options,
      env: { ...ONLY_LOGS, OTEL_EXPORTER_FLUENT_FORWARD_ENDPOINT: receiver.endpoint, ...env },
    });

  function expectRecords(): void {
    expect(receiver.entries.map(({ record }) => record)).toEqual([
      expect.objectContaining({
        message: 'from pino',
        severity_number: 9,
        attributes: { user: 7 },
        scope: expect.objectContaining({ name: '@opentelemetry/instrumentation-pino' }),
      }),
      expect.objectContaining({
        message: 'from winston',
        severity_number: 13,
        attributes: { user: 8 },
        scope: expect.objectContaining({ name: '@opentelemetry/winston-transport' }),
      }),
    ]);
  }

  test('register sends what pino and winston log through bridges that the application sets up', async () => {
    const ended = await run({ flag: '--require', behind: ['--require', './instrumentations.cjs'] });
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    expectRecords();
  });

  test.each([
    ['before', { behind: ['--import', AUTO] }],
    ['after', { before: ['--import', AUTO] }],
  ])('register sends the records if it is loaded %s auto-instrumentations-node/register', async (_, options) => {
    const { code, stderr } = await run({ ...options, env: { OTEL_LOGS_EXPORTER: 'fluent_forward' } });
    expect(code).toBe(0);
    expect(stderr).not.toContain('FLUENT_FORWARD_NOT_REGISTERED');
    expectRecords();
  });

  test('register loaded first sends the records also without OTEL_LOGS_EXPORTER', async () => {
    const { code } = await run({ behind: ['--import', AUTO] });
    expect(code).toBe(0);
    expectRecords();
  });

  test('register steps aside if auto-instrumentations-node/register has registered a logger provider', async () => {
    const { code, stderr } = await run({ before: ['--import', AUTO], env: { OTEL_EXPORTER_OTLP_TIMEOUT: '500' } });
    expect(code).toBe(0);
    expect(stderr).toContain('a logger provider is registered already');
    expect(stderr).toContain('Set OTEL_LOGS_EXPORTER=fluent_forward');
    expect(receiver.connectionCount).toBe(0);
  });
});

const LOGGERS = `
  const { PassThrough } = require('node:stream');
  require('pino')(new PassThrough()).info({ user: 7 }, 'from pino');
  const winston = require('winston');
  const transports = [new winston.transports.Stream({ stream: new PassThrough() })];
  winston.createLogger({ transports }).warn('from winston', { user: 8 });`;

const INSTRUMENTATIONS = `
  const { registerInstrumentations } = require('@opentelemetry/instrumentation');
  const { PinoInstrumentation } = require('@opentelemetry/instrumentation-pino');
  const { WinstonInstrumentation } = require('@opentelemetry/instrumentation-winston');
  registerInstrumentations({ instrumentations: [new PinoInstrumentation(), new WinstonInstrumentation()] });`;
