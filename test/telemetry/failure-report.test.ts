import { diag } from '@opentelemetry/api';
import { afterEach, describe, expect, it } from 'vitest';
import { Diagnostics } from '../../src/diagnostics.ts';
import { type ExportErrorCode, FluentForwardExportError } from '../../src/errors.ts';
import { FailureReport } from '../../src/telemetry/failure-report.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { harness, type LogLine, recordDiag } from '../support/harness.ts';
import { lossWarnings } from '../support/loss-warnings.ts';

afterEach(() => diag.disable());

const endpoint = 'tcp://fluent:24224';
const TIMEOUT_MILLIS = 25_000;
const MESSAGE = `3 of 5 log records were not acknowledged by ${endpoint}: no ack`;

function exportError(code: ExportErrorCode = 'FLUENT_FORWARD_TIMEOUT'): FluentForwardExportError {
  return new FluentForwardExportError(code, MESSAGE, { records: 5, acknowledgedRecords: 2, endpoint });
}

function failureReport({ hasLogger = true } = {}) {
  const warnings = lossWarnings();
  const lines: LogLine[] = [];
  recordDiag(lines);
  if (!hasLogger) diag.disable();
  lines.length = 0;
  const clock = new FakeClock();
  const diagnostics = new Diagnostics(clock);
  const report = new FailureReport({ clock, diagnostics, endpoint, timeoutMillis: TIMEOUT_MILLIS });
  const log = () => lines.splice(0).map(([level, text]) => [level, text.replace(/^\S+ /, '')]);
  return { clock, report, log, warnings };
}

describe('the report of failed exports', () => {
  it('the first failed export of a process is a process warning with the message of the error', async () => {
    for (const hasLogger of [true, false]) {
      const { report, log, warnings } = failureReport({ hasLogger });
      report.failed(exportError());
      expect(await warnings()).toEqual([
        {
          code: 'FLUENT_FORWARD_EXPORT_FAILED',
          message: MESSAGE,
          detail: expect.stringContaining(hasLogger ? 'Later losses are logged' : 'diag.setLogger('),
        },
      ]);
      expect(log()).toEqual([]);
    }
  });

  it('if diag has a logger, only the totals of an episode are logged, because the SDK logs each failed export', async () => {
    const { clock, report, log, warnings } = failureReport();
    for (let failed = 0; failed < 3; failed++) {
      if (failed > 0) await clock.advance(TIMEOUT_MILLIS);
      report.failed(exportError());
    }
    await clock.advance(TIMEOUT_MILLIS + 9_999);
    expect(log()).toEqual([]);
    await clock.advance(1);
    expect(log()).toEqual([
      [
        'error',
        `${endpoint}: 3 export(s) with 9 unacknowledged log record(s) failed in 50.0 s, and no more since then; code: FLUENT_FORWARD_TIMEOUT`,
      ],
    ]);
    expect(await warnings()).toHaveLength(1);
  });

  it('if diag has no logger, beginning and end of the failures of each code are process warnings', async () => {
    const { clock, report, warnings } = failureReport({ hasLogger: false });
    for (const code of ['FLUENT_FORWARD_TIMEOUT', 'FLUENT_FORWARD_IN_FLIGHT_LIMIT'] as const) {
      report.failed(exportError(code));
      report.failed(exportError(code));
    }
    const begun = await warnings();
    expect(begun.map(({ message }) => message)).toEqual([MESSAGE, MESSAGE]);
    await clock.advance(60_000);
    const ended = await warnings();
    expect(ended.map(({ code, message }) => [code, message.replace(/^.*; /, '')])).toEqual([
      ['FLUENT_FORWARD_EXPORT_FAILED', 'code: FLUENT_FORWARD_TIMEOUT'],
      ['FLUENT_FORWARD_EXPORT_FAILED', 'code: FLUENT_FORWARD_IN_FLIGHT_LIMIT'],
    ]);
    expect(clock.timers).toBe(0);
  });

  it('an exporter reports the end when it is shut down, with what its flush gave up', async () => {
    const lines: LogLine[] = [];
    recordDiag(lines);
    const { clock, exporter, send } = harness({ endpoint: 'tcp://127.0.0.1:1', flushTimeoutMillis: 1_000 });
    const result = send('a', 'b');
    const shutdown = exporter.shutdown();
    await clock.advance(25_000);
    expect(await result).toMatchObject({ error: { code: 'FLUENT_FORWARD_FLUSH_TIMEOUT' } });
    await shutdown;
    expect(lines.filter(([level]) => level === 'error').map(([, text]) => text)).toEqual([
      expect.stringMatching(/ 1 export\(s\) with 2 unacknowledged log record\(s\) failed in .*FLUSH_TIMEOUT$/),
    ]);
    expect(clock.timers).toBe(0);
  });
});
