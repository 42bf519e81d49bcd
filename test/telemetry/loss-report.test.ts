import { AsyncLocalStorage } from 'node:async_hooks';
import { DiagConsoleLogger, type DiagLogger, diag } from '@opentelemetry/api';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { Diagnostics } from '../../src/diagnostics.ts';
import { SeverityCounts } from '../../src/severity.ts';
import type { DropReason } from '../../src/stats.ts';
import { LossReport } from '../../src/telemetry/loss-report.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { type LogLine, recordDiag } from '../support/harness.ts';
import { lossWarnings } from '../support/loss-warnings.ts';

afterEach(() => diag.disable());

const ERROR = 17;
const INFO = 9;
const ENDPOINT = 'tcp://fluent:24224';
const SHED =
  'maxInFlightBytes (4096) is three quarters full, and their severity is below WARN; is the receiver up and fast enough? If it is, raise maxInFlightBytes';

/** `warnings`, `log`: what was reported since the last call. `isFirst`: whether no loss of the process was reported. */
function lossReport({
  hasLogger = true,
  isFirst = false,
  fault,
}: {
  hasLogger?: boolean;
  isFirst?: boolean;
  fault?: string;
} = {}) {
  const warnings = lossWarnings();
  const lines: LogLine[] = [];
  recordDiag(lines);
  const clock = new FakeClock();
  const report = new LossReport({
    clock,
    diagnostics: new Diagnostics(clock),
    endpoint: ENDPOINT,
    maxInFlightBytes: 4_096,
    lastFault: () => fault,
  });
  if (!hasLogger) diag.disable();
  if (!isFirst) {
    const other = new LossReport({
      clock,
      diagnostics: new Diagnostics(new FakeClock()),
      endpoint: '',
      maxInFlightBytes: 0,
      lastFault: () => undefined,
    });
    other.lostOne('memory', INFO);
    other.close();
  }
  lines.length = 0;
  const log = () => lines.splice(0).map(([level, text]) => [level, text.replace(/^\S+ /, '')]);
  const texts = async () => (await warnings()).map(({ message }) => message);
  return { clock, report, log, warnings, texts };
}

function severities(...numbers: number[]): SeverityCounts {
  const counts = new SeverityCounts();
  for (const number of numbers) counts.add(number);
  return counts;
}

describe('the first loss of a process', () => {
  it('is a process warning with count, reason, remedy, and how to see more', async () => {
    const { report, warnings } = lossReport({ hasLogger: false, isFirst: true });
    report.lost('shed', severities(INFO, INFO));
    expect(await warnings()).toEqual([
      {
        code: 'FLUENT_FORWARD_RECORDS_DROPPED',
        message: `${ENDPOINT}: 2 log record(s) dropped so far (INFO 2): ${SHED}`,
        detail: expect.stringContaining('diag.setLogger('),
      },
    ]);
  });

  it('is also logged if diag has a logger, and the warning says that later ones are logged', async () => {
    const { report, log, warnings } = lossReport({ isFirst: true });
    report.lostOne('shed', INFO);
    const text = `${ENDPOINT}: 1 log record(s) dropped so far (INFO 1): ${SHED}`;
    expect(log()).toEqual([['error', text]]);
    expect(await warnings()).toEqual([
      {
        code: 'FLUENT_FORWARD_RECORDS_DROPPED',
        message: text,
        detail: "Later losses are logged through OpenTelemetry's diag.",
      },
    ]);
  });

  it('is the only warning of the process if diag has a logger', async () => {
    const { clock, report, texts } = lossReport({ isFirst: true });
    report.lostOne('shed', INFO);
    expect(await texts()).toHaveLength(1);
    report.lostOne('memory', INFO);
    new LossReport({
      clock,
      diagnostics: new Diagnostics(clock),
      endpoint: ENDPOINT,
      maxInFlightBytes: 1,
      lastFault: () => undefined,
    }).lostOne('shed', INFO);
    await clock.advance(120_000);
    expect(await texts()).toEqual([]);
  });

  it('does no harm if process.emitWarning throws or rejects', async () => {
    for (const emitWarning of [() => fail('patched'), async () => fail('patched')]) {
      const { clock, report } = lossReport({ hasLogger: false, isFirst: true });
      const patched = vi.spyOn(process, 'emitWarning').mockImplementation(emitWarning as () => never);
      report.lostOne('shed', INFO);
      await clock.advance(60_000);
      expect(patched).toHaveBeenCalledTimes(2);
      patched.mockRestore();
    }
  });
});

describe('losses if diag has a logger', () => {
  it('are logged once a minute per reason, with the counts of the episode by severity', async () => {
    const { clock, report, log } = lossReport();
    report.lostOne('memory', ERROR);
    report.lostOne('shed', INFO);
    expect(log().map(([, text]) => text)).toEqual([
      expect.stringContaining('1 log record(s) dropped so far (ERROR 1): maxInFlightBytes (4096) is reached; '),
      expect.stringContaining('1 log record(s) dropped so far (INFO 1): '),
    ]);
    for (let second = 5; second < 60; second += 5) {
      await clock.advance(5_000);
      report.lost('memory', severities(ERROR, INFO, INFO));
      report.lostOne('shed', INFO);
    }
    expect(log()).toEqual([]);
    await clock.advance(5_000);
    report.lostOne('memory', undefined);
    expect(log().map(([, text]) => text)).toEqual([
      expect.stringContaining(': 35 log record(s) dropped so far (ERROR 12, INFO 22, unset 1): '),
    ]);
  });

  it('have an end 10 s after the last one, which is logged with the totals and the time', async () => {
    const { clock, report, log } = lossReport();
    report.lostOne('shed', INFO);
    await clock.advance(9_999);
    report.lost('shed', severities(INFO, 5));
    log();
    await clock.advance(9_999);
    expect(log()).toEqual([]);
    await clock.advance(1);
    expect(log()).toEqual([
      [
        'error',
        `${ENDPOINT}: 3 log record(s) dropped in 10.0 s (INFO 2, DEBUG 1), and none since then for this reason: shed`,
      ],
    ]);
    await clock.advance(600_000);
    expect(log()).toEqual([]);
    expect(clock.timers).toBe(0);
  });

  it('are in the totals of one episode each, also if a minute has no message left', async () => {
    const { clock, report, log } = lossReport();
    for (let episode = 0; episode < 3; episode++) {
      report.lostOne('shed', INFO);
      await clock.advance(10_000);
    }
    const end = expect.stringContaining(': 1 log record(s) dropped in 0.0 s (INFO 1)');
    expect(log().map(([, text]) => text)).toEqual([expect.stringContaining('so far'), end, end, end]);
  });

  it('of each reason have a message of its own', () => {
    const { report, log } = lossReport();
    const reasons: readonly DropReason[] = ['shed', 'memory', 'shut_down'];
    for (const reason of reasons) report.lostOne(reason, INFO);
    for (const reason of ['unencodable', 'refused'] as const) report.lostOne(reason, INFO, () => 'why');
    expect(log().map(([, text]) => text?.replace(/^.*so far /, ''))).toEqual([
      `(INFO 1): ${SHED}`,
      '(INFO 1): maxInFlightBytes (4096) is reached; is the receiver up and fast enough? If it is, raise maxInFlightBytes',
      '(INFO 1): they came after shutdown(), or were not acknowledged when it ended; call shutdown() last, and see whether the receiver is up',
      '(INFO 1): they cannot be encoded (why); correct the code that logs them, or the layout function',
      '(INFO 1): receivers refuse them (why); compare chunk_size_limit (Fluentd) and buffer_max_size (Fluent Bit) with maxChunkBytes',
    ]);
  });

  it('name the last fault of a connection where it can be the cause', () => {
    const { report, log } = lossReport({ fault: 'connection refused' });
    for (const reason of ['shed', 'memory', 'shut_down'] as const) report.lostOne(reason, INFO);
    for (const [, text] of log()) expect(text).toMatch(/; last fault: connection refused$/);
    report.lostOne('unencodable', INFO, () => 'why');
    expect(log()[0]?.[1]).not.toContain('last fault');
  });

  it('have a detail, which is made only for a message', () => {
    const { report, log } = lossReport();
    const detail = vi.fn(() => 'the layout function threw: no');
    report.lostOne('unencodable', INFO, detail);
    report.lostOne('unencodable', INFO, detail);
    report.lost('refused', severities(INFO), () => 'a chunk of 12 bytes');
    expect(detail).toHaveBeenCalledTimes(1);
    expect(log().map(([, text]) => text)).toEqual([
      expect.stringContaining('they cannot be encoded (the layout function threw: no); correct'),
      expect.stringContaining('receivers refuse them (a chunk of 12 bytes); compare'),
    ]);
  });

  it('are not reported if there are none', async () => {
    const { clock, report, log } = lossReport();
    report.lost('shut_down', severities());
    report.close();
    await clock.advance(60_000);
    expect(log()).toEqual([]);
  });
});

describe('losses if diag has no logger', () => {
  it('are process warnings: one when they begin, and one when they have ended and a minute is over', async () => {
    const { clock, report, warnings } = lossReport({ hasLogger: false });
    await warnings();
    report.lostOne('shed', INFO);
    await clock.advance(5_000);
    report.lostOne('shed', INFO);
    expect(await warnings()).toEqual([
      {
        code: 'FLUENT_FORWARD_RECORDS_DROPPED',
        message: `${ENDPOINT}: 1 log record(s) dropped so far (INFO 1): ${SHED}`,
        detail: undefined,
      },
    ]);
    await clock.advance(54_999);
    expect(await warnings()).toEqual([]);
    await clock.advance(1);
    expect(await warnings()).toEqual([
      {
        code: 'FLUENT_FORWARD_RECORDS_DROPPED',
        message: `${ENDPOINT}: 2 log record(s) dropped in 5.0 s (INFO 2), and none since then for this reason: shed`,
        detail: undefined,
      },
    ]);
  });

  it('are one process warning a minute for each reason at most, however often they begin and end', async () => {
    const { clock, report, texts } = lossReport({ hasLogger: false });
    await texts();
    const seen: string[][] = [];
    for (let minute = 0; minute < 4; minute++) {
      for (const millis of [15_000, 15_000, 15_000, 14_999]) {
        report.lostOne('shed', INFO);
        await clock.advance(millis);
      }
      seen.push(await texts());
      await clock.advance(1);
    }
    for (const minute of seen) expect(minute.length).toBeLessThanOrEqual(1);
    report.close();
    const all = [...seen.flat(), ...(await texts())];
    const dropped = all.map((text) => / (\d+) log record\(s\) dropped in/.exec(text)?.[1] ?? 0);
    expect(dropped.reduce((sum: number, count) => sum + Number(count), 0)).toBe(16);
  });

  it('get no warning while they go on', async () => {
    const { clock, report, texts } = lossReport({ hasLogger: false });
    await texts();
    for (let second = 0; second < 200; second += 5) {
      report.lostOne('shed', INFO);
      await clock.advance(5_000);
    }
    expect(await texts()).toEqual([expect.stringContaining('so far')]);
  });

  it('begin with a warning as soon as a minute allows it', async () => {
    const { clock, report, texts } = lossReport({ hasLogger: false });
    report.lostOne('shed', INFO);
    await clock.advance(60_000);
    await texts();
    for (let second = 0; second <= 60; second += 5) {
      report.lostOne('shed', INFO);
      await clock.advance(5_000);
    }
    expect(await texts()).toEqual([expect.stringContaining('13 log record(s) dropped so far')]);
  });

  it('are logged from when diag gets a logger', async () => {
    const { clock, report, texts } = lossReport({ hasLogger: false });
    report.lostOne('shed', INFO);
    await texts();
    const lines: LogLine[] = [];
    recordDiag(lines);
    await clock.advance(10_000);
    expect(lines).toEqual([['error', expect.stringContaining('dropped in 0.0 s')]]);
    expect(await texts()).toEqual([]);
  });
});

describe('the end of the report', () => {
  it('reports each episode at once, and leaves no timer', async () => {
    for (const hasLogger of [true, false]) {
      const { clock, report, log, texts } = lossReport({ hasLogger });
      report.lostOne('shed', INFO);
      report.lostOne('memory', ERROR);
      await texts();
      log();
      report.close();
      const reported = hasLogger ? log().map(([, text]) => text) : await texts();
      expect(reported).toEqual([expect.stringContaining('reason: shed'), expect.stringContaining('reason: memory')]);
      expect(clock.timers).toBe(0);
      report.close();
      expect([log(), await texts()]).toEqual([[], []]);
    }
  });

  it('does not end the report of what is lost later', async () => {
    const { clock, report, log } = lossReport();
    report.close();
    report.lostOne('shut_down', INFO);
    await clock.advance(10_000);
    expect(log().map(([, text]) => text)).toEqual([
      expect.stringContaining('so far'),
      expect.stringContaining('1 log record(s) dropped in'),
    ]);
  });
});

describe('a logger of diag whose own records are lost', () => {
  it('gets no message about them from within a message, and each is counted once', async () => {
    const { clock, report } = lossReport();
    const texts: string[] = [];
    setLogger((text) => {
      texts.push(text);
      report.lostOne('shed', ERROR);
    });
    report.lostOne('shed', INFO);
    await clock.advance(600_000);
    expect(clock.timers).toBe(0);
    expect(texts).toEqual([
      expect.stringContaining('1 log record(s) dropped so far (INFO 1)'),
      // Without the one that this message costs.
      expect.stringContaining('2 log record(s) dropped in 0.0 s (ERROR 1, INFO 1)'),
    ]);
    report.lostOne('shed', INFO);
    report.close();
    expect(texts.slice(2)).toEqual([
      expect.stringContaining('2 log record(s) dropped so far (ERROR 1, INFO 1)'),
      expect.stringContaining('3 log record(s) dropped in 0.0 s (ERROR 2, INFO 1)'),
    ]);
  });

  it('may lose them for other reasons', () => {
    const { report } = lossReport();
    const texts: string[] = [];
    setLogger((text) => {
      texts.push(text);
      report.lostOne(texts.length % 2 === 0 ? 'shed' : 'memory', ERROR);
    });
    report.lostOne('shed', INFO);
    expect(texts).toHaveLength(2);
  });

  it('may close the report', () => {
    const { clock, report } = lossReport();
    let calls = 0;
    setLogger(() => {
      calls++;
      report.close();
    });
    report.lostOne('shed', INFO);
    expect([calls, clock.timers]).toEqual([2, 0]);
  });
});

it('the end of an episode is reported outside the context of the record that began it', async () => {
  const { clock, report } = lossReport();
  const request = new AsyncLocalStorage<string>();
  const stores: unknown[] = [];
  const after = clock.after.bind(clock);
  clock.after = (...args) => {
    stores.push(request.getStore());
    return after(...args);
  };
  request.run('request', () => report.lostOne('shed', INFO));
  expect(stores).toEqual([undefined]);
});

function setLogger(error: (text: string) => void): void {
  const logger: DiagLogger = new DiagConsoleLogger();
  diag.setLogger({ ...logger, error: (...text: unknown[]) => error(text.join(' ')) } as DiagLogger, {
    suppressOverrideMessage: true,
  });
}

function fail(message: string): never {
  throw new Error(message);
}
