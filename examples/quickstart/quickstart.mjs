import { DiagConsoleLogger, DiagLogLevel, diag } from '@opentelemetry/api';
import { LoggerProvider } from '@opentelemetry/sdk-logs';
import { FluentForwardLogRecordProcessor } from 'opentelemetry-exporter-fluent-forward';

// Without a logger OpenTelemetry keeps its troubles to itself.
diag.setLogger(new DiagConsoleLogger(), DiagLogLevel[process.env.OTEL_LOG_LEVEL?.toUpperCase()] ?? DiagLogLevel.WARN);

// To tcp://localhost:24224, or OTEL_EXPORTER_FLUENT_FORWARD_ENDPOINT.
const provider = new LoggerProvider({ processors: [new FluentForwardLogRecordProcessor()] });

provider.getLogger('quickstart').emit({
  severityNumber: 9,
  severityText: 'INFO',
  body: 'hello, Fluent',
  attributes: { 'user.id': 42 },
});

await provider.shutdown(); // waits until the receiver has acknowledged the record
