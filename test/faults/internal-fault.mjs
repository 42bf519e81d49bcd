// Breaks what the exporter does with an ack, and prints which exception reaches the process and what is logged.
import { diag } from '@opentelemetry/api';
import { FluentForwardLogExporter } from 'opentelemetry-exporter-fluent-forward';

const log = (text) => process.stdout.write(`logged: ${text}\n`);
diag.setLogger({ error: log, warn: log, info: () => {}, debug: () => {}, verbose: () => {} });
process.once('uncaughtException', (error) => {
  process.stdout.write(`uncaught: ${error.message}\n`);
  process.exit();
});
const { set } = WeakMap.prototype;
// The exporter keeps how far an address has acknowledged.
WeakMap.prototype.set = function (key, value) {
  if (typeof value === 'number') throw new Error('a fault of our own');
  return set.call(this, key, value);
};
const record = { hrTime: [1_700_000_000, 0], body: 'record 0', attributes: {}, resource: { attributes: {} } };
new FluentForwardLogExporter().export([record], () => {});
