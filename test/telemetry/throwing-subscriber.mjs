// Exports with subscribers that throw on every channel. Prints the results and the uncaught exceptions.
import { subscribe } from 'node:diagnostics_channel';
import { FluentForwardLogExporter } from 'opentelemetry-exporter-fluent-forward';

const uncaught = [];
process.on('uncaughtException', ({ message }) => uncaught.push(message));
for (const name of ['connection:opened', 'connection:ready', 'connection:closed', 'chunk:sent', 'chunk:acknowledged']) {
  subscribe(`fluent-forward:${name}`, () => {
    throw new Error(`fault of a subscriber of ${name}`);
  });
}

const record = {
  hrTime: [1_700_000_000, 0],
  hrTimeObserved: [1_700_000_000, 0],
  body: 'hello',
  attributes: {},
  resource: { attributes: {} },
  instrumentationScope: { name: 'test' },
  droppedAttributesCount: 0,
};
const exporter = new FluentForwardLogExporter();
const results = [];
await new Promise((done) => exporter.export([record], (result) => done(results.push(result))));
await exporter.shutdown();
process.on('exit', () => process.stdout.write(JSON.stringify({ results, uncaught })));
