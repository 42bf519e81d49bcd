// Fails in every way that has to do with secrets, and prints whatever can be printed of it.
import { inspect } from 'node:util';
import { DiagLogLevel, diag } from '@opentelemetry/api';
import { FluentForwardLogExporter } from 'opentelemetry-exporter-fluent-forward';

const LIMITS = { timeoutMillis: 3_000, ackTimeoutMillis: 2_000, connectTimeoutMillis: 2_000 };
const { endpoints, options } = JSON.parse(process.env.TEST);
const print = (...texts) => process.stdout.write(`${texts.join(' ')}\n`);
diag.setLogger(
  { error: print, warn: print, info: print, debug: print, verbose: print },
  { logLevel: DiagLogLevel.ALL, suppressOverrideMessage: true },
);

const show = (value) => {
  print(String(value), inspect(value, { depth: Number.POSITIVE_INFINITY, showHidden: true, getters: true }));
  print(
    JSON.stringify(value),
    inspect(value?.cause),
    value?.stack,
    value?.cause?.stack,
    inspect(Object.entries(value)),
  );
};

const record = {
  hrTime: [1_700_000_000, 0],
  hrTimeObserved: [1_700_000_000, 0],
  body: 'x',
  attributes: {},
  resource: { attributes: {} },
  instrumentationScope: { name: 'test' },
};

async function fail(endpoint, changes) {
  try {
    const exporter = new FluentForwardLogExporter({ endpoint, ...LIMITS, ...changes });
    show(exporter);
    const result = await new Promise((done) => exporter.export([record], done));
    print(`code ${result.code}`);
    show(result.error);
    show(exporter);
    await exporter.shutdown();
  } catch (error) {
    print('thrown');
    show(error);
  }
}

await Promise.all(endpoints.flatMap((endpoint) => options.map((changes) => fail(endpoint, changes))));
