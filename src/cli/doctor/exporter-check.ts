import { setTimeout as sleep } from 'node:timers/promises';
import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import { systemClock } from '../../clock.ts';
import type { Config } from '../../config/config.ts';
import type { FluentForwardLogExporterOptions } from '../../config/options.ts';
import { FluentForwardConnectionError, type FluentForwardExportError } from '../../errors.ts';
import { FluentForwardLogExporter } from '../../exporter.ts';
import { type Check, EXPORTER, type Finding } from './finding.ts';
import { remedyFor } from './remedy.ts';
import type { TestRecords } from './test-record.ts';

export interface ExporterCheckOptions {
  readonly config: Config;
  /** What `config` is made of, beside the environment, and the addresses that work. */
  readonly options: FluentForwardLogExporterOptions;
  readonly records: TestRecords;
}

/** Short enough to be waited for, and longer than a dial. */
const ROTATION_INTERVAL_MILLIS = 1_000;
const ROTATION_POLL_MILLIS = 100;
/** So often in a row the receiver has closed the connection after an ack: it takes one message a connection. */
const SINGLE_ACK_CLOSES = 3;
/** What is only good to know is not waited for any longer. */
const TRIAL_TIMEOUT_MILLIS = 2_000;
/** What a message has beside the filler of its record, at most. */
const OVERHEAD_BYTES = 700;

/** Exports as an application does, and tells what of it works. */
export async function* checkExporter(options: ExporterCheckOptions): AsyncGenerator<Finding> {
  const exporter = new FluentForwardLogExporter({
    ...options.options,
    connections: 1,
    rotationIntervalMillis: ROTATION_INTERVAL_MILLIS,
  });
  try {
    const record = await checkRecord(exporter, options);
    yield record;
    if (record.outcome === 'failed') return;
    yield await checkRotation(exporter, options);
    yield await checkLargeChunk(exporter, options);
  } finally {
    await exporter.shutdown();
  }
  yield* await Promise.all(trials(options));
}

async function checkRecord(
  exporter: FluentForwardLogExporter,
  { config, records }: ExporterCheckOptions,
): Promise<Finding> {
  const layout = typeof config.layout === 'string' ? config.layout : 'of a function';
  const { millis, error } = await exportOne(exporter, records.create('record'));
  if (error !== undefined) return failed('record', millis, error);
  return passed('record', millis, `acknowledged, in the layout ${layout}`);
}

/** Sends records until a rotation has carried one of them. */
async function checkRotation(
  exporter: FluentForwardLogExporter,
  { config, records }: ExporterCheckOptions,
): Promise<Finding> {
  const start = systemClock.now();
  const millis = () => systemClock.now() - start;
  for (let closes = 0; millis() < config.timeoutMillis; ) {
    const { error } = await exportOne(exporter, records.create('rotation'));
    if (error !== undefined) return failed('rotation', millis(), error);
    if (exporter.stats().rotations > 0) {
      return passed('rotation', millis(), 'a second connection took over when it had its first ack');
    }
    await sleep(ROTATION_POLL_MILLIS);
    closes = exporter.stats().connections.length === 0 ? closes + 1 : 0;
    if (closes === SINGLE_ACK_CLOSES) {
      return noted(
        'rotation',
        'the receiver closes after each ack (deny_keepalive): each message has its own connection',
      );
    }
  }
  const reason = exporter.stats().lastError?.message ?? 'no second connection was opened';
  return {
    ...passed('rotation', millis(), `no second connection took over within ${config.timeoutMillis} ms: ${reason}`),
    outcome: 'failed',
    remedy: 'look whether the receiver, or a proxy before it, limits the connections of a client',
  };
}

async function checkLargeChunk(
  exporter: FluentForwardLogExporter,
  { config, records }: ExporterCheckOptions,
): Promise<Finding> {
  const { maxChunkBytes, maxStringBytes } = config;
  const before = exporter.stats().acknowledged.bytes;
  // Each string of the filler has a header of three bytes.
  const bytes = Math.floor((maxChunkBytes - OVERHEAD_BYTES) * 0.99);
  const { millis, error } = await exportOne(exporter, records.createLarge('large chunk', bytes, maxStringBytes));
  if (error !== undefined) return failed('large chunk', millis, error);
  const acknowledged = exporter.stats().acknowledged.bytes - before;
  return passed('large chunk', millis, `${acknowledged} bytes acknowledged, maxChunkBytes is ${maxChunkBytes}`);
}

/** What else the receiver takes. */
function trials(options: ExporterCheckOptions): Promise<Finding>[] {
  const { layout } = options.config;
  return layout === 'otlp' ? [] : [tryOut('otlp layout', { layout: 'otlp' }, options)];
}

async function tryOut(
  check: Check,
  options: FluentForwardLogExporterOptions,
  { options: given, records }: ExporterCheckOptions,
): Promise<Finding> {
  const exporter = new FluentForwardLogExporter({
    ...given,
    ...options,
    timeoutMillis: TRIAL_TIMEOUT_MILLIS,
    ackTimeoutMillis: TRIAL_TIMEOUT_MILLIS - 1,
  });
  const { error } = await exportOne(exporter, records.create(check));
  await exporter.shutdown();
  return noted(check, error === undefined ? 'acknowledged' : 'not acknowledged');
}

function exportOne(
  exporter: FluentForwardLogExporter,
  record: ReadableLogRecord,
): Promise<{ readonly millis: number; readonly error: FluentForwardExportError | undefined }> {
  const start = systemClock.now();
  return new Promise((resolve) => {
    exporter.export([record], ({ error }) => {
      resolve({ millis: systemClock.now() - start, error: error as FluentForwardExportError | undefined });
    });
  });
}

function passed(check: Check, millis: number, text: string): Finding {
  return { subject: EXPORTER, check, outcome: 'passed', millis, text };
}

function noted(check: Check, text: string): Finding {
  return { subject: EXPORTER, check, outcome: 'noted', text };
}

function failed(check: Check, millis: number, { code, message, cause }: FluentForwardExportError): Finding {
  const remedy = remedyFor(check, cause instanceof FluentForwardConnectionError ? cause.code : code);
  return { subject: EXPORTER, check, outcome: 'failed', millis, text: message, code, remedy };
}
