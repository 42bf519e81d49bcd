import { diag } from '@opentelemetry/api';
import { afterEach, describe, expect, it } from 'vitest';
import { Diagnostics } from '../../src/diagnostics.ts';
import { Counters } from '../../src/stats.ts';
import { OutageReport } from '../../src/telemetry/outage-report.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { type LogLine, recordDiag } from '../support/harness.ts';

afterEach(() => diag.disable());

/** `log`: what was logged since the last call. `lose`: counts records as resent and as failed. */
function outageReport() {
  const lines: LogLine[] = [];
  recordDiag(lines);
  const clock = new FakeClock();
  const counters = new Counters();
  const report = new OutageReport({ clock, counters, diagnostics: new Diagnostics(clock) });
  const log = () => lines.splice(0).map(([level, text]) => [level, text.replace(/^\S+ /, '')]);
  const lose = (resent: number, failed: number) => {
    counters.resent.add({ records: resent, bytes: 0, rawBytes: 0 });
    counters.failed('FLUENT_FORWARD_TIMEOUT', { records: failed, bytes: 0, rawBytes: 0 });
  };
  return { clock, report, log, lose };
}

describe('the report of an outage', () => {
  it('the first connection is logged at the level info, later ones at debug', () => {
    const { report, log } = outageReport();
    for (const place of ['a', 'b', 'a']) report.connected(place);
    expect(log()).toEqual([
      ['info', 'connected to a'],
      ['debug', 'connected to b'],
      ['debug', 'connected to a'],
    ]);
  });

  it('the end of an outage is logged with its duration, and the records that were resent and failed during it', async () => {
    const { clock, report, log, lose } = outageReport();
    lose(1_000, 100);
    report.fault('reset', () => 'the server reset the connection');
    expect(log()).toEqual([['warn', 'the server reset the connection']]);
    await clock.advance(12_340);
    lose(7, 3);
    report.recovered('b');
    report.reportRecovery();
    expect(log()).toEqual([['warn', 'connected to b again after 12.3 s, 7 records resent, 3 failed']]);
  });

  it('an outage lasts from its first fault to the ack, whenever that is reported', async () => {
    const { clock, report, log, lose } = outageReport();
    report.fault('reset', () => 'first');
    await clock.advance(2_000);
    report.fault('refused', () => 'second');
    await clock.advance(1_000);
    report.recovered('a');
    await clock.advance(5_000);
    // The last lost chunk is resent after the ack.
    lose(4, 0);
    report.reportRecovery();
    expect(log()).toEqual([
      ['warn', 'first'],
      ['warn', 'second'],
      ['warn', 'connected to a again after 3.0 s, 4 records resent, 0 failed'],
    ]);
  });

  it('a fault before the end is reported extends the outage to the next ack', async () => {
    const { clock, report, log } = outageReport();
    report.fault('reset', () => 'first');
    await clock.advance(1_000);
    report.recovered('a');
    report.fault('refused', () => 'second');
    await clock.advance(1_000);
    report.recovered('b');
    report.reportRecovery();
    expect(log().at(-1)).toEqual(['warn', 'connected to b again after 2.0 s, 0 records resent, 0 failed']);
  });

  it('nothing is logged before the ack, and the end is logged once', () => {
    const { report, log } = outageReport();
    report.fault('reset', () => 'fault');
    log();
    report.reportRecovery();
    expect(log()).toEqual([]);
    report.recovered('a');
    report.reportRecovery();
    expect(log()).toHaveLength(1);
    report.recovered('a');
    report.reportRecovery();
    expect(log()).toEqual([]);
  });

  it('an ack without an outage is not logged', () => {
    const { report, log } = outageReport();
    report.recovered('a');
    report.reportRecovery();
    expect(log()).toEqual([]);
  });

  it('the end of an outage is logged only if one of its warnings was logged', async () => {
    const { clock, report, log } = outageReport();
    const outage = (...causes: string[]) => {
      for (const cause of causes) report.fault(cause, () => cause);
      report.recovered('a');
      report.reportRecovery();
      return log().map(([level]) => level);
    };
    expect(outage('reset')).toEqual(['warn', 'warn']);
    // The same warning is logged once a minute.
    await clock.advance(30_000);
    expect(outage('reset')).toEqual([]);
    expect(outage('reset', 'refused', 'reset')).toEqual(['warn', 'warn']);
    await clock.advance(30_000);
    expect(outage('reset')).toEqual(['warn', 'warn']);
  });

  it('each outage counts from its own beginning', async () => {
    const { clock, report, log, lose } = outageReport();
    for (const [millis, records] of [
      [1_000, 1],
      [2_000, 2],
    ] as const) {
      report.fault(`fault ${records}`, () => 'fault');
      await clock.advance(millis);
      lose(records, 10 * records);
      report.recovered('a');
      report.reportRecovery();
    }
    expect(log().filter(([, message = '']) => message.includes('again'))).toEqual([
      ['warn', 'connected to a again after 1.0 s, 1 records resent, 10 failed'],
      ['warn', 'connected to a again after 2.0 s, 2 records resent, 20 failed'],
    ]);
  });
});
