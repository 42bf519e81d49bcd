// What a new process does: it imports a client, sends a record, and ends with its ack. For cold-start.mjs.
const [client, port] = process.argv.slice(2);

/** Each imports no more than the client, and gives what sends a record. */
const STARTS = {
  async exporter() {
    const { FluentForwardLogExporter } = await import('opentelemetry-exporter-fluent-forward');
    return () => ofExporter(new FluentForwardLogExporter({ endpoint: `tcp://127.0.0.1:${port}` }));
  },
  async 'otlp-proto'() {
    const { OTLPLogExporter } = await import('@opentelemetry/exporter-logs-otlp-proto');
    return () => ofExporter(new OTLPLogExporter({ url: `http://127.0.0.1:${port}/v1/logs` }));
  },
  async 'otlp-http'() {
    const { OTLPLogExporter } = await import('@opentelemetry/exporter-logs-otlp-http');
    return () => ofExporter(new OTLPLogExporter({ url: `http://127.0.0.1:${port}/v1/logs` }));
  },
  async '@fluent-org/logger'() {
    const { FluentClient } = await import('@fluent-org/logger');
    return async () => {
      const client = new FluentClient('logs', { ack: {}, socket: { host: '127.0.0.1', port: Number(port) } });
      await client.emit({ message: 'hello' });
      await client.shutdown();
    };
  },
  async 'fluent-logger'() {
    const { default: fluentLogger } = await import('fluent-logger');
    return async () => {
      const options = { host: '127.0.0.1', port: Number(port), eventMode: 'PackedForward', requireAckResponse: true };
      const sender = fluentLogger.createFluentSender('logs', options);
      await new Promise((resolve) => sender.emit({ message: 'hello' }, resolve));
      sender.end();
    };
  },
};

const RECORD = {
  hrTime: [1_760_000_000, 0],
  hrTimeObserved: [1_760_000_000, 0],
  body: 'hello',
  attributes: {},
  droppedAttributesCount: 0,
  resource: { attributes: { 'service.name': 'checkout' } },
  instrumentationScope: { name: 'checkout' },
};

async function ofExporter(exporter) {
  const { code, error } = await new Promise((resolve) => exporter.export([RECORD], resolve));
  if (code !== 0) throw error;
  await exporter.shutdown();
}

function usedBytes() {
  globalThis.gc();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

const bytes = usedBytes();
const start = performance.now();
const send = await STARTS[client]();
const importMillis = performance.now() - start;
const importBytes = usedBytes() - bytes;
const beforeSend = performance.now();
await send();
const ackMillis = importMillis + performance.now() - beforeSend;
process.send({ importMillis, importBytes, ackMillis });
process.disconnect();
