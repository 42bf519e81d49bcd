// Exports a record and then has nothing more to do. With EXIT set it exits right after the export.
import { FluentForwardLogExporter } from 'opentelemetry-exporter-fluent-forward';

const record = { hrTime: [1_700_000_000, 0], body: 'record 0', attributes: {}, resource: { attributes: {} } };
new FluentForwardLogExporter().export([record], ({ code }) => process.stdout.write(`${code}`));
if (process.env.EXIT !== undefined) process.exit();
