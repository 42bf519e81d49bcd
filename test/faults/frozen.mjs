// Exports a record, and then one more, with which it stops itself. Prints both results.
import { FluentForwardLogExporter } from 'opentelemetry-exporter-fluent-forward';

const record = { hrTime: [1_700_000_000, 0], body: 'record', attributes: {}, resource: { attributes: {} } };
const exporter = new FluentForwardLogExporter();
const send = () => new Promise((done) => exporter.export([record], ({ code, error }) => done(error?.code ?? code)));

process.stdout.write(`${await send()}`);
const second = send();
process.kill(process.pid, 'SIGSTOP');
process.stdout.write(` ${await second}`);
