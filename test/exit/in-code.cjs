// The same as `in-code.mjs`, in CommonJS.
const { flushOnSignals, FluentForwardLogRecordProcessor } = require('opentelemetry-exporter-fluent-forward');
const { run } = require('./load.cjs');

const processor = new FluentForwardLogRecordProcessor();
if (process.env.FLUSH_ON_SIGNALS !== undefined) flushOnSignals(processor);
const rest = { hrTime: [1_700_000_000, 0], attributes: {}, resource: { attributes: {} } };
run((number) => processor.onEmit({ ...rest, body: number }));
