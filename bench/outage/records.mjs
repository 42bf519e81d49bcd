const ATTRIBUTES = { 'http.route': '/api/orders', 'http.response.status_code': 200 };

/** A record for a logger of OpenTelemetry. Its body holds its number. */
export function logRecord(number) {
  return { severityNumber: 9, severityText: 'INFO', body: `record ${number}`, attributes: ATTRIBUTES };
}

/** The same for clients that take objects. */
export function plainRecord(number) {
  return { message: `record ${number}`, severity_text: 'INFO', attributes: ATTRIBUTES };
}

/** The number of the record with this body. Undefined if it is not one of ours. */
export function numberIn(body) {
  const number = /^record (\d+)$/.exec(body)?.[1];
  return number === undefined ? undefined : Number(number);
}
