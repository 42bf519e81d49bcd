// Sends two records in the layout that is named: node examples/layouts/layouts.mjs ecs
import { DiagConsoleLogger, DiagLogLevel, diag } from '@opentelemetry/api';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { LoggerProvider } from '@opentelemetry/sdk-logs';
import { FluentForwardLogRecordProcessor } from 'opentelemetry-exporter-fluent-forward';
import { dotless } from './dotless.mjs';
import { ecs } from './ecs.mjs';
import { renamedBody } from './renamed-body.mjs';

const layouts = { dotless, ecs, 'renamed-body': renamedBody };
const layout = layouts[process.argv[2]];
if (layout === undefined) {
  console.error(`usage: node layouts.mjs ${Object.keys(layouts).join('|')}`);
  process.exit(1);
}

diag.setLogger(new DiagConsoleLogger(), DiagLogLevel.WARN);

const provider = new LoggerProvider({
  resource: resourceFromAttributes({ 'service.name': 'shop', 'host.name': 'h1' }),
  // To OTEL_EXPORTER_FLUENT_FORWARD_ENDPOINT.
  processors: [new FluentForwardLogRecordProcessor({ layout })],
});
const logger = provider.getLogger('http', '1.4.0');
logger.emit({
  timestamp: [1_700_000_000, 123_456_789],
  observedTimestamp: [1_700_000_000, 223_456_789],
  severityNumber: 13,
  severityText: 'WARN',
  eventName: 'order.refused',
  body: { order: 4711, reason: 'no stock' },
  attributes: { 'http.request.method': 'POST', 'url.path': '/orders', 'order.lines': [{ 'item.id': 7 }] },
});
logger.emit({ body: 'still here', attributes: { 'url.path': '/healthz' } });
await provider.shutdown();
