import { type DiagLogger, DiagLogLevel, diag } from '@opentelemetry/api';
import type { LogRecordExporter, ReadableLogRecord } from '@opentelemetry/sdk-logs';
import { FluentForwardLogExporter } from '../../src/exporter.ts';
import type { FluentForwardExportError, FluentForwardLogExporterOptions } from '../../src/index.ts';
import { FakeClock } from './fake-clock.ts';

export interface Result {
  readonly code: number;
  readonly error?: FluentForwardExportError;
}

const resource = {
  attributes: { 'service.name': 'test' },
  asyncAttributesPending: false,
} as unknown as ReadableLogRecord['resource'];
const instrumentationScope = { name: 'test' };

/** A record as the SDK hands it over. */
export function logRecord(body: unknown, attributes: Record<string, unknown> = {}): ReadableLogRecord {
  return {
    hrTime: [1_700_000_000, 123_456_789],
    hrTimeObserved: [1_700_000_001, 0],
    body,
    attributes,
    resource,
    instrumentationScope,
    droppedAttributesCount: 0,
  } as ReadableLogRecord;
}

/** Exports records whose bodies are `bodies`, and gives the result. */
export function exportBodies(exporter: Pick<LogRecordExporter, 'export'>, ...bodies: unknown[]): Promise<Result> {
  return new Promise((resolve) => {
    exporter.export(
      bodies.map((body) => logRecord(body)),
      (result) => resolve(result as Result),
    );
  });
}

export interface Harness {
  readonly clock: FakeClock;
  readonly exporter: FluentForwardLogExporter;
  /** What `random()` returns from now on. Each number differs a little, so that addresses get different turns. */
  chance: number;
  send(...bodies: unknown[]): Promise<Result>;
}

/** An exporter on a fake clock, and without chance. */
export function harness(options: FluentForwardLogExporterOptions): Harness {
  const clock = new FakeClock();
  const made: { chance: number } = { chance: 0.5 };
  let calls = 0;
  const exporter = new FluentForwardLogExporter(options, { clock, random: () => made.chance + 1e-9 * calls++ });
  return Object.assign(made, { clock, exporter, send: (...bodies: unknown[]) => exportBodies(exporter, ...bodies) });
}

/** Ends an exporter whose chunks may still wait for time to pass. */
export async function dispose({ clock, exporter }: Harness): Promise<void> {
  const done = exporter.shutdown();
  await clock.advance(60_000);
  await done;
}

export type LogLine = readonly [level: 'error' | 'warn' | 'info' | 'debug', text: string];

/** Records in `lines` what is logged through `diag` until `diag.disable()`. */
export function recordDiag(lines: LogLine[]): void {
  const at =
    (level: LogLine[0]) =>
    (...text: unknown[]) => {
      lines.push([level, text.join(' ')]);
    };
  const logger: DiagLogger = {
    error: at('error'),
    warn: at('warn'),
    info: at('info'),
    debug: at('debug'),
    verbose: () => {},
  };
  diag.setLogger(logger, { logLevel: DiagLogLevel.ALL, suppressOverrideMessage: true });
  lines.length = 0;
}
