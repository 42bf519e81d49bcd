import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { ForwardReceiver } from '../../../src/testing/index.ts';
import { Application } from '../../register/application.ts';
import { startProgram } from '../../support/run-program.ts';
import { installLocked } from '../registry.mjs';
import { INSTRUMENTED_LINES, INSTRUMENTED_PACKAGES } from './auto-instrumentations.ts';

const INSTALL_LIMIT_MILLIS = 300_000;

describe.each(INSTRUMENTED_LINES)('the processor in NodeSDK on $name', (line) => {
  let application: Application;

  beforeAll(async () => {
    await installLocked(line.home);
    application = new Application(line, [...INSTRUMENTED_PACKAGES, '@opentelemetry/sdk-node']);
    application.write('machine-id.cjs', MACHINE_ID);
    application.write('program.cjs', programWith(line.api));
  }, INSTALL_LIMIT_MILLIS);
  afterAll(() => application.remove());

  test.each(['default', 'flat', 'otlp'])(
    'the resource of NodeSDK with its default detectors is complete from the first record on: %s',
    async (layout) => {
      const receiver = await ForwardReceiver.listen();
      onTestFinished(() => receiver.close());
      const { code, stderr } = await startProgram(`${application.directory}/program.cjs`, {
        cwd: application.directory,
        nodeOptions: ['--require', './machine-id.cjs'],
        env: {
          OTEL_TRACES_EXPORTER: 'none',
          OTEL_METRICS_EXPORTER: 'none',
          OTEL_SERVICE_NAME: 'svc',
          OTEL_EXPORTER_FLUENT_FORWARD_ENDPOINT: receiver.endpoint,
          OTEL_EXPORTER_FLUENT_FORWARD_LAYOUT: layout,
        },
      }).finished;
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      const records = receiver.entries.map(({ record }) => record as Record<string, unknown>);
      const bodies = records.map(({ message, log }) => message ?? log).filter((body) => body !== undefined);
      expect(bodies).toEqual(['first', 'second', 'third']);
      // With the layout otlp, records have the resource of their group.
      const texts = records
        .filter((each) => layout !== 'otlp' || 'resource' in each)
        .map((each) => JSON.stringify(each));
      expect(texts.length).toBeGreaterThan(0);
      for (const text of texts) {
        for (const part of ['host.id', 'the machine', 'service.name', 'svc', 'process.pid'])
          expect(text).toContain(part);
      }
    },
  );
});

/** Gives the machine an id, which is read slowly, as from a disk that is busy. */
const MACHINE_ID = `
  const fs = require('node:fs');
  const { readFile } = fs.promises;
  fs.promises.readFile = async (path, ...options) => {
    if (path !== '/etc/machine-id') return readFile(path, ...options);
    await new Promise((done) => setTimeout(done, 300));
    return 'the machine';
  };`;

/** `api` is the package with the logs API. */
const programWith = (api: string) => `
  const { NodeSDK } = require('@opentelemetry/sdk-node');
  const { logs } = require('${api}');
  const { FluentForwardLogRecordProcessor } = require('opentelemetry-exporter-fluent-forward');
  const processor = new FluentForwardLogRecordProcessor({ scheduledDelayMillis: 10 });
  const sdk = new NodeSDK({ logRecordProcessors: [processor] });
  sdk.start();
  const logger = logs.getLogger('program');
  logger.emit({ body: 'first', attributes: { some: 'attribute' } });
  logger.emit({ body: 'second' });
  setTimeout(async () => {
    logger.emit({ body: 'third' });
    await sdk.shutdown();
  }, 1_000);`;
