// Compresses with zstd, where Node.js has it, and tells what arrived.
import { FluentForwardLogExporter } from 'opentelemetry-exporter-fluent-forward';
import { ForwardReceiver } from 'opentelemetry-exporter-fluent-forward/testing';

const record = (body) => ({
  hrTime: [1_700_000_000, 0],
  hrTimeObserved: [0, 0],
  body,
  attributes: {},
  resource: { attributes: {} },
  instrumentationScope: { name: '' },
  droppedAttributesCount: 0,
});

const receiver = await ForwardReceiver.listen({ messageFaults: [undefined, { kind: 'reset', when: 'before ack' }] });
const exporter = new FluentForwardLogExporter({
  endpoint: receiver.endpoint,
  compression: 'zstd',
  compressionLevel: 19,
  maxChunkBytes: 2_000_000,
  maxStringBytes: 2_000_000,
});
const results = [];
for (const length of [1, 999_000, 1_001_000]) {
  const text = 'compressible '.repeat(length / 13 + 1).slice(0, length);
  const { code } = await new Promise((done) => exporter.export([record(text)], done));
  results.push(code);
}
await exporter.shutdown();
await receiver.close();
const messages = receiver.messages.map(({ mode, entries, option, bytes }) => ({
  mode,
  option,
  bytes,
  textBytes: entries[0].record.message.length,
}));
process.stdout.write(JSON.stringify({ results, messages }));
