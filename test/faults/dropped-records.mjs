// What a processor reports when it drops records. Nothing is set up to show messages.
import { systemClock } from '../../dist/esm/clock.js';
import { Diagnostics } from '../../dist/esm/diagnostics.js';
import { LossReport } from '../../dist/esm/telemetry/loss-report.js';

const report = new LossReport({
  clock: systemClock,
  diagnostics: new Diagnostics(systemClock),
  endpoint: 'tcp://fluent:24224',
  maxInFlightBytes: 4_096,
});
for (let i = 0; i < 1_000; i++) report.lostOne('memory', 17);
// Without it the timer of the report would wait for the end, and hold no process.
if (process.env.CLOSE !== undefined) report.close();
