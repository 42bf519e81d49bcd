// Fails in every way that has to do with secrets, and prints whatever can be printed of the failures.
import { setTimeout as sleep } from 'node:timers/promises';
import { inspect } from 'node:util';
import { DiagLogLevel, diag } from '@opentelemetry/api';
import { FluentForwardLogExporter } from 'opentelemetry-exporter-fluent-forward';

/** Long, so that a slow machine causes no other failures. An export ends soon after its first fault, by a flush. */
const LIMITS = { timeoutMillis: 80_000, connectTimeoutMillis: 40_000, flushTimeoutMillis: 100 };
/** `endpoints` have the limits that differ, and `isTimedOut` if the export ends by its own timeout. */
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

async function firstFault(exporter) {
  while (exporter.stats().lastError === undefined) await sleep(5, undefined, { ref: false });
}

async function fail({ endpoint, limits, isTimedOut }, changes) {
  try {
    const exporter = new FluentForwardLogExporter({ endpoint, ...LIMITS, ...limits, ...changes });
    show(exporter);
    const exported = new Promise((done) => exporter.export([record], done));
    if (!isTimedOut) {
      await Promise.race([exported, firstFault(exporter)]);
      void exporter.forceFlush();
    }
    const result = await exported;
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
