// Knows no exporter: node --import opentelemetry-exporter-fluent-forward/register examples/register/app.mjs
import { logs, SeverityNumber } from '@opentelemetry/api-logs';

logs.getLogger('checkout').emit({
  severityNumber: SeverityNumber.INFO,
  severityText: 'INFO',
  body: 'order placed',
  attributes: { 'order.id': 4711 },
});
