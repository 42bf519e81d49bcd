import { inspect } from 'node:util';

/** On one line, and all of it. */
const WHOLE = {
  breakLength: Number.POSITIVE_INFINITY,
  compact: true,
  depth: null,
  maxArrayLength: null,
  maxStringLength: null,
};

/**
 * The Elastic Common Schema. Attributes keep their names, as OpenTelemetry's conventions and ECS have
 * become one; one whose name is taken gets `labels.` before it. Of the scope only the name stays, and
 * health checks are left out.
 */
export function ecs(record, entry) {
  if (record.attributes['url.path'] === '/healthz') return undefined;
  const {
    message,
    body,
    severity_text,
    severity_number,
    event_name,
    trace_id,
    span_id,
    observed_timestamp,
    attributes = {},
    resource = {},
    scope = {},
    dropped_attributes_count,
    ...others
  } = entry;
  const mapped = {
    'ecs.version': '8.17.0',
    message: 'body' in entry ? inspect(body, WHOLE) : message,
    'log.level': severity_text?.toLowerCase(),
    'log.logger': scope.name,
    'event.severity': severity_number,
    'event.action': event_name,
    'event.created': observed_timestamp,
    'trace.id': trace_id,
    'span.id': span_id,
    'labels.dropped_attributes_count': dropped_attributes_count,
  };
  const document = new Map(Object.entries(mapped));
  for (const fields of [attributes, resource, others]) {
    for (const [key, value] of Object.entries(fields)) {
      let name = key;
      while (document.has(name)) name = `labels.${name}`;
      document.set(name, value);
    }
  }
  return Object.fromEntries(document);
}
