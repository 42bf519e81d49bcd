import type { MeterProvider } from '@opentelemetry/api';
import { LoggerProvider } from '@opentelemetry/sdk-logs';
import { FluentForwardLogExporter, FluentForwardLogRecordProcessor } from '../../src/index.ts';
import { ForwardReceiver } from '../../src/testing/index.ts';
import { until } from '../support/fake-clock.ts';
import { exportBodies } from '../support/harness.ts';
import { HeldAck } from '../support/held-ack.ts';
import { DEAD_ENDPOINT } from './run-example.ts';
import { type Sample, ScrapedMeter } from './scraped-meter.ts';

/** A scrape that contains every metric of the package. */
export async function scrapeEveryMetric(): Promise<Sample[]> {
  const meter = await ScrapedMeter.start();
  let samples: Sample[] = [];
  await withEveryMetric(meter.provider, async () => {
    samples = await meter.scrape();
  });
  await meter.close();
  return samples;
}

/** Has records rotate, resent, lost, too large and left out, and dials fail. */
async function withEveryMetric(selfObsMeterProvider: MeterProvider, use: () => Promise<void>): Promise<void> {
  const receiver = await ForwardReceiver.listen({ messageFaults: [undefined, { kind: 'reset', when: 'before ack' }] });
  const exporter = new FluentForwardLogExporter({
    endpoint: receiver.endpoint,
    rotationIntervalMillis: 300,
    ackTimeoutMillis: 20_000,
    selfObsMeterProvider,
    layout: ({ body }, entry) => (body === 'filtered' ? undefined : entry),
  });
  const lost = new FluentForwardLogExporter({
    endpoint: DEAD_ENDPOINT,
    timeoutMillis: 1_000,
    selfObsMeterProvider,
  });
  const untrusted = new FluentForwardLogExporter({
    endpoint: receiver.endpoint.replace('tcp:', 'tls:'),
    timeoutMillis: 1_000,
    selfObsMeterProvider,
  });
  const processor = new FluentForwardLogRecordProcessor({ endpoint: receiver.endpoint, selfObsMeterProvider });
  const oversize = Array.from({ length: 30 }, () => 'x'.repeat(262_000));
  await Promise.all([exportBodies(lost, 'lost'), exportBodies(untrusted, 'lost')]);
  await exportBodies(exporter, 'first', 'filtered', oversize);
  await exportBodies(exporter, 'resent');
  while (exporter.stats().rotations === 0) await exportBodies(exporter, 'until a rotation');
  // A connection with nothing in flight would be closed after two rotation intervals.
  const ack = new HeldAck();
  receiver.messageFaults = [ack.fault];
  const { messageCount } = receiver;
  const held = exportBodies(exporter, 'held');
  await until(() => receiver.messageCount > messageCount);
  new LoggerProvider({ processors: [processor] }).getLogger('test').emit({ body: 'emitted' });
  await use();
  ack.release();
  await held;
  await Promise.all([exporter, lost, untrusted, processor].map((each) => each.shutdown()));
  await receiver.close();
}
