import Pbf from 'pbf';

/** The way from ExportLogsServiceRequest to a body's text: the fields' numbers in opentelemetry-proto. */
const PATH = [1, 2, 2, 5, 1];

/** The bodies of the records in a request of OTLP/protobuf. */
export function bodiesInProtobuf(bytes, path = PATH) {
  const [field, ...rest] = path;
  const found = [];
  new Pbf(bytes).readFields((tag, _, pbf) => {
    if (tag === field) found.push(rest.length === 0 ? pbf.readString() : pbf.readBytes());
  });
  return rest.length === 0 ? found : found.flatMap((message) => bodiesInProtobuf(message, rest));
}
