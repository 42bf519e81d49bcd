// Exports that fail one after the other, and then a shutdown. Nothing is set up to show messages.
import { FluentForwardLogExporter } from 'opentelemetry-exporter-fluent-forward';

const record = { hrTime: [1_700_000_000, 0], body: 'lost', attributes: {}, resource: { attributes: {} } };
const exporter = new FluentForwardLogExporter();
for (let i = 0; i < 3; i++) await new Promise((done) => exporter.export([record, record], done));
await exporter.shutdown();
