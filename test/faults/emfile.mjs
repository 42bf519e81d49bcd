// Exports a record while it has no file descriptor left, and closes what it has opened at the first warning.
import { closeSync, openSync } from 'node:fs';
import { diag } from '@opentelemetry/api';
import { FluentForwardLogExporter } from 'opentelemetry-exporter-fluent-forward';

const files = [];
const print = (text) => process.stderr.write(`${text}\n`);
diag.setLogger({
  error: print,
  warn: (...text) => {
    print(text.join(' '));
    for (const file of files.splice(0)) closeSync(file);
  },
  info: () => {},
  debug: () => {},
  verbose: () => {},
});

const exporter = new FluentForwardLogExporter();
try {
  for (;;) files.push(openSync('/dev/null'));
} catch (error) {
  print(error.code);
}
const record = { hrTime: [1_700_000_000, 0], body: 'record 0', attributes: {}, resource: { attributes: {} } };
exporter.export([record], async ({ code }) => {
  process.stdout.write(`${code}`);
  await exporter.shutdown();
});
