// A processor that drops every record, and then a shutdown if SHUTDOWN is set. Nothing is set up to show messages.
import { FluentForwardLogRecordProcessor } from 'opentelemetry-exporter-fluent-forward';

const processor = new FluentForwardLogRecordProcessor({
  layout: () => {
    throw new Error('no layout for it');
  },
});
const record = { hrTime: [1_700_000_000, 0], severityNumber: 17, attributes: {}, resource: { attributes: {} } };
for (let i = 0; i < 1_000; i++) processor.onEmit(record);
if (process.env.SHUTDOWN !== undefined) await processor.shutdown();
