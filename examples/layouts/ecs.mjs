import { inspect } from 'node:util';

/**
 * The Elastic Common Schema. Attributes keep their names, as OpenTelemetry's conventions and ECS have
 * become one; health checks are left out.
 */
export function ecs({ attributes }, entry) {
  if (attributes['url.path'] === '/healthz') return undefined;
  const { resource = {}, scope = {} } = entry;
  return {
    ...resource,
    ...entry.attributes,
    'ecs.version': '8.17.0',
    message: 'body' in entry ? inspect(entry.body, { breakLength: Number.POSITIVE_INFINITY }) : entry.message,
    'log.level': entry.severity_text?.toLowerCase(),
    'log.logger': scope.name,
    'event.severity': entry.severity_number,
    'event.action': entry.event_name,
    'event.created': entry.observed_timestamp,
    'trace.id': entry.trace_id,
    'span.id': entry.span_id,
  };
}
