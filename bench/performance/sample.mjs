import { Decoder, ExtensionCodec } from '@msgpack/msgpack';
import Pbf from 'pbf';
import { CLIENTS } from './clients.mjs';

/** The bodies of the records in what a client has sent. */
export function bodiesIn(bytes, client) {
  if (CLIENTS[client].receiver === 'forward') return bodiesInForward(bytes);
  return bytes[0] === '{'.charCodeAt(0) ? bodiesInJson(bytes) : bodiesInProtobuf(bytes);
}

function bodiesInForward(bytes) {
  const extensionCodec = new ExtensionCodec();
  extensionCodec.register({ type: 0, encode: () => null, decode: (time) => time });
  const decoder = new Decoder({ extensionCodec });
  const messages = [...decoder.decodeMulti(bytes)];
  return messages.flatMap(([, entries]) => [...decoder.decodeMulti(entries)].map(([, { message }]) => message));
}

function bodiesInJson(bytes) {
  const { resourceLogs } = JSON.parse(bytes);
  return resourceLogs
    .flatMap(({ scopeLogs }) => scopeLogs)
    .flatMap(({ logRecords }) => logRecords)
    .map(({ body }) => body.stringValue);
}

/** The way from ExportLogsServiceRequest to a body's text: the fields' numbers in opentelemetry-proto. */
const PATH = [1, 2, 2, 5, 1];

function bodiesInProtobuf(bytes, path = PATH) {
  const [field, ...rest] = path;
  const found = [];
  new Pbf(bytes).readFields((tag, _, pbf) => {
    if (tag === field) found.push(rest.length === 0 ? pbf.readString() : pbf.readBytes());
  });
  return rest.length === 0 ? found : found.flatMap((message) => bodiesInProtobuf(message, rest));
}
