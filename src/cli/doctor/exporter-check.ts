import { setTimeout as sleep } from 'node:timers/promises';
import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import { systemClock } from '../../clock.ts';
import { CODECS, codecOf } from '../../compress/codecs.ts';
import type { ExporterConfig } from '../../config/config.ts';
import type { FluentForwardLogExporterOptions } from '../../config/options.ts';
import { LAYOUT_NAMES, LAYOUTS, type LayoutName } from '../../encode/layout/layouts.ts';
import { FluentForwardConnectionError, type FluentForwardExportError, messageOf } from '../../errors.ts';
import { FluentForwardLogExporter } from '../../exporter.ts';
import { type Check, EXPORTER, type Finding } from './finding.ts';
import { remedyFor } from './remedy.ts';
import type { TestRecords } from './test-record.ts';

export interface ExporterCheckOptions {
  readonly config: ExporterConfig;
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

/** Exports as an application does, and reports what works. */
export async function* checkExporter(options: ExporterCheckOptions): AsyncGenerator<Finding> {
  const basics = await checkBasics(options);
  yield* basics;
  // The later checks open more connections. If a basic check has failed, their failures would name the wrong cause.
  if (basics.some(({ outcome }) => outcome === 'failed')) return;
  yield* await checkLoad(options);
  const trials = [...codecTrials(options.config), ...layoutTrials(options.config)];
  yield* await Promise.all(trials.map((trial) => tryOut(trial, options)));
}

/** Sends uncompressed records, so that compression cannot be the reason of a failure. */
async function checkBasics(options: ExporterCheckOptions): Promise<Finding[]> {
  const rotating = { compression: 'none', rotationIntervalMillis: ROTATION_INTERVAL_MILLIS } as const;
  return withExporter({ ...options.options, ...rotating, connections: 1 }, async (exporter) => {
    const findings = [await checkRecord(exporter, options)];
    const isRotating = options.config.rotationIntervalMillis > 0;
    if (isRotating && findings[0]?.outcome === 'passed') findings.push(await checkRotation(exporter, options));
    return findings;
  });
}

/** What is configured of compression and size. */
async function checkLoad(options: ExporterCheckOptions): Promise<Finding[]> {
  const isCompressed = options.config.compression !== 'none';
  return withExporter(options.options, async (exporter) => {
    const findings = isCompressed ? [await checkCompression(exporter, options)] : [];
    if (findings.every(({ outcome }) => outcome !== 'failed')) findings.push(await checkLargeChunk(exporter, options));
    return findings;
  });
}

async function withExporter<T>(
  options: FluentForwardLogExporterOptions,
  action: (exporter: FluentForwardLogExporter) => Promise<T>,
): Promise<T> {
  const exporter = new FluentForwardLogExporter(options);
  try {
    return await action(exporter);
  } finally {
    await exporter.shutdown();
  }
}

async function checkRecord(
  exporter: FluentForwardLogExporter,
  { config, records }: ExporterCheckOptions,
): Promise<Finding> {
  const { millis, error } = await exportOne(exporter, records.create('record'));
  if (error !== undefined) return failed('record', millis, error);
  // Only code can set a function.
  const layout = config.layout as LayoutName;
  const caveat = inBrackets(LAYOUTS[layout].ackCaveat);
  return passed('record', millis, `acknowledged in the layout ${layout}${caveat}`);
}

/** Sends records until a rotation has carried one of them. */
async function checkRotation(
  exporter: FluentForwardLogExporter,
  { config, records }: ExporterCheckOptions,
): Promise<Finding> {
  const start = systemClock.now();
  const millis = () => systemClock.now() - start;
  // The interval with its jitter, a dial, and a record over the new connection.
  const limit = ROTATION_INTERVAL_MILLIS * 1.5 + config.connectTimeoutMillis + config.timeoutMillis;
  for (let closes = 0; millis() < limit; ) {
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
    ...passed('rotation', millis(), `no second connection took over within ${limit} ms: ${reason}`),
    outcome: 'failed',
    remedy: 'look whether the receiver, or a proxy before it, limits the connections of a client',
  };
}

async function checkCompression(
  exporter: FluentForwardLogExporter,
  { config, records }: ExporterCheckOptions,
): Promise<Finding> {
  const { millis, error } = await exportOne(exporter, records.createCompressible('compression'));
  if (error !== undefined) return failed('compression', millis, error);
  const { bytes, rawBytes } = exporter.stats().acknowledged;
  const caveat = inBrackets(codecOf(config.compression)?.ackCaveat);
  return passed('compression', millis, `acknowledged ${rawBytes} bytes as ${bytes} in ${config.compression}${caveat}`);
}

async function checkLargeChunk(
  exporter: FluentForwardLogExporter,
  { config, records }: ExporterCheckOptions,
): Promise<Finding> {
  const { maxChunkBytes, maxStringBytes } = config;
  const before = exporter.stats().acknowledged.rawBytes;
  // Each string of the filler has a header of three bytes.
  const bytes = Math.floor((maxChunkBytes - OVERHEAD_BYTES) * 0.99);
  const { millis, error } = await exportOne(exporter, records.createLarge('large chunk', bytes, maxStringBytes));
  if (error !== undefined) return failed('large chunk', millis, error);
  const acknowledged = exporter.stats().acknowledged.rawBytes - before;
  return passed('large chunk', millis, `acknowledged ${acknowledged} bytes; maxChunkBytes is ${maxChunkBytes}`);
}

/** Options that are not configured, and that the receiver may support too. */
interface Trial {
  readonly check: Check;
  readonly options: FluentForwardLogExporterOptions;
  readonly ackCaveat: string | undefined;
}

function codecTrials({ compression }: ExporterConfig): readonly Trial[] {
  return Object.values(CODECS)
    .filter(({ name }) => name !== compression)
    .map(({ name, ackCaveat }) => ({ check: name, options: { compression: name }, ackCaveat }));
}

/** Leaves out the layouts without a caveat: every receiver reads their records. */
function layoutTrials({ layout }: ExporterConfig): readonly Trial[] {
  return LAYOUT_NAMES.flatMap((name) => {
    const { ackCaveat } = LAYOUTS[name];
    if (name === layout || ackCaveat === undefined) return [];
    return [{ check: `${name} layout`, options: { layout: name, compression: 'none' }, ackCaveat }];
  });
}

async function tryOut(
  { check, options, ackCaveat }: Trial,
  { options: given, records }: ExporterCheckOptions,
): Promise<Finding> {
  const times = { timeoutMillis: TRIAL_TIMEOUT_MILLIS, ackTimeoutMillis: TRIAL_TIMEOUT_MILLIS - 1 };
  try {
    codecOf(options.compression ?? 'none');
    return await withExporter({ ...given, ...options, ...times }, async (exporter) => {
      const { error } = await exportOne(exporter, records.createCompressible(check));
      return noted(check, error === undefined ? `acknowledged${inBrackets(ackCaveat)}` : 'not acknowledged');
    });
  } catch (error) {
    // This version of Node.js may not have the codec.
    return noted(check, `not tried: ${messageOf(error)}`);
  }
}

function inBrackets(caveat: string | undefined): string {
  return caveat === undefined ? '' : ` (${caveat})`;
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
