// Logs through a processor that is set up in code. FLUSH_ON_SIGNALS: whether it is flushed at signals.
import { FluentForwardLogRecordProcessor, flushOnSignals } from 'opentelemetry-exporter-fluent-forward';
import { run } from './load.cjs';

const processor = new FluentForwardLogRecordProcessor();
if (process.env.FLUSH_ON_SIGNALS !== undefined) flushOnSignals(processor);
const rest = { hrTime: [1_700_000_000, 0], attributes: {}, resource: { attributes: {} } };
run((number) => processor.onEmit({ ...rest, body: number }));
