/** A record as a plain object of the default layout's fields: what clients are fed that know no OpenTelemetry. */
export function plainRecord(record) {
  const {
    body,
    severityText,
    severityNumber,
    spanContext,
    hrTimeObserved,
    attributes,
    resource,
    instrumentationScope,
  } = record;
  return {
    message: body,
    severity_text: severityText,
    severity_number: severityNumber,
    ...(spanContext && {
      trace_id: spanContext.traceId,
      span_id: spanContext.spanId,
      trace_flags: spanContext.traceFlags.toString(16).padStart(2, '0'),
    }),
    observed_timestamp: timeText(hrTimeObserved),
    attributes: { ...attributes },
    resource: resource.attributes,
    scope: { name: instrumentationScope.name, version: instrumentationScope.version },
  };
}

function timeText([seconds, nanoseconds]) {
  return `${new Date(seconds * 1_000).toISOString().slice(0, -4)}${String(nanoseconds).padStart(9, '0')}Z`;
}
