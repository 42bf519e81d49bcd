import { Decoder, ExtensionCodec } from '@msgpack/msgpack';
import { bodiesInProtobuf } from '../support/otlp-bodies.mjs';
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
