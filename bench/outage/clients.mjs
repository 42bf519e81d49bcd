// Clients for Node.js, set up as their documentation says: `emit()` takes the number of a record; `finish()` resolves
// once nothing is left to wait for; `reported()` returns the numbers of the records that the client has called lost,
// or how many they are where it says no more.
import { FluentClient } from '@fluent-org/logger';
import { OTLPLogExporter } from '@opentelemetry/exporter-logs-otlp-proto';
import { BatchLogRecordProcessor, LoggerProvider } from '@opentelemetry/sdk-logs';
import fluentLogger from 'fluent-logger';
import { FluentForwardLogExporter, FluentForwardLogRecordProcessor } from 'opentelemetry-exporter-fluent-forward';
import { logRecord, plainRecord } from './records.mjs';

const TAG = 'bench';

export const FACTORIES = {
  processor: (port) => sdk(new FluentForwardLogRecordProcessor({ endpoint: `tcp://127.0.0.1:${port}` })),
  exporter: (port) => batched(new FluentForwardLogExporter({ endpoint: `tcp://127.0.0.1:${port}` })),
  'otlp-proto': (port) => batched(new OTLPLogExporter({ url: `http://127.0.0.1:${port}/v1/logs` })),
  'fluent-org': (port) => fluentOrgLogger(port, {}),
  'fluent-org-retries': (port) => fluentOrgLogger(port, { eventRetry: {} }),
  'fluent-logger': oldFluentLogger,
};

function batched(exporter) {
  return sdk(new BatchLogRecordProcessor({ exporter }));
}

function sdk(processor) {
  const provider = new LoggerProvider({ processors: [processor] });
  const logger = provider.getLogger('bench');
  const losses = lossesInWarnings();
  return {
    emit: (number) => logger.emit(logRecord(number)),
    finish: () => provider.shutdown(),
    reported: () => losses.records,
  };
}

/** The records that process warnings have called lost. Each warning has the count so far. */
function lossesInWarnings() {
  const losses = { records: 0 };
  process.on('warning', ({ code, message }) => {
    if (!code?.startsWith('FLUENT_FORWARD_')) return;
    const records = /([\d,]+) (?:log )?records?/.exec(message)?.[1].replaceAll(',', '');
    losses.records = Math.max(losses.records, Number(records ?? 0));
  });
  return losses;
}

/** With acknowledgements, and with the option that its README has for failed submissions, or without it. */
function fluentOrgLogger(port, options) {
  const client = new FluentClient(TAG, { ack: {}, socket: { host: '127.0.0.1', port, timeout: 3_000 }, ...options });
  const emits = [];
  const failed = [];
  return {
    emit(number) {
      emits.push(client.emit(plainRecord(number)).catch(() => failed.push(number)));
    },
    async finish() {
      await Promise.all(emits);
      await client.shutdown();
    },
    reported: () => failed,
  };
}

/** With the options of its README's example that waits for acknowledgements. */
function oldFluentLogger(port) {
  const sender = fluentLogger.createFluentSender(TAG, {
    host: '127.0.0.1',
    port,
    timeout: 3.0,
    requireAckResponse: true,
  });
  const results = [];
  const failed = [];
  const settle = (number) =>
    new Promise((resolve) => {
      sender.emit(plainRecord(number), (error) => {
        if (error) failed.push(number);
        resolve();
      });
    });
  return {
    emit(number) {
      results.push(settle(number));
    },
    async finish() {
      await Promise.all(results);
      await new Promise((resolve) => sender.end('end', {}, resolve));
    },
    reported: () => failed,
  };
}
