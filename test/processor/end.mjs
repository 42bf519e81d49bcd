// Emits a record through a processor. With FLUSH set it flushes. Then it has nothing more to do.
import { FluentForwardLogRecordProcessor } from 'opentelemetry-exporter-fluent-forward';

const processor = new FluentForwardLogRecordProcessor();
processor.onEmit({ hrTime: [1_700_000_000, 0], body: 'record', attributes: {}, resource: { attributes: {} } });
if (process.env.FLUSH !== undefined) {
  await processor.forceFlush();
  process.stdout.write(`${processor.stats().acknowledged.records} acknowledged`);
}
