// What goes over the wire: bytes a record, as they are and compressed. Nothing here depends on time.
import * as zlib from 'node:zlib';
import { JsonLogsSerializer, ProtobufLogsSerializer } from '@opentelemetry/otlp-transformer';
import { createEncoder } from '../encoder.mjs';
import { goal } from '../figures.mjs';
import { Workload } from '../workload.mjs';

export const TITLE = 'Bytes on the wire, a record';

const RECORDS = 8_192;
const BATCHES = [512, 4_096];

/** Each gives the messages of a batch. */
const FORMATS = {
  default: (records) => messages(records, {}),
  flat: (records) => messages(records, { layout: 'flat' }),
  otlp: (records) => messages(records, { layout: 'otlp', eventNameAttribute: false }),
  'OTLP protobuf': (records) => [ProtobufLogsSerializer.serializeRequest(records)],
  'OTLP JSON': (records) => [JsonLogsSerializer.serializeRequest(records)],
};

const COMPRESSIONS = {
  none: (bytes) => bytes,
  'gzip 1': (bytes) => zlib.gzipSync(bytes, { level: 1 }),
  'gzip 6': (bytes) => zlib.gzipSync(bytes, { level: 6 }),
  // Not in every Node.js that the package runs on.
  ...(zlib.zstdCompressSync && { 'zstd 1': (bytes) => zstd(bytes, 1) }),
};

function messages(records, options) {
  return createEncoder(options)(records).map(({ bytes }) => bytes);
}

function zstd(bytes, level) {
  return zlib.zstdCompressSync(bytes, { params: { [zlib.constants.ZSTD_c_compressionLevel]: level } });
}

export function run({ progress }) {
  const results = BATCHES.flatMap((batch) =>
    Object.entries(FORMATS).map(([format, messagesOf]) => ({ batch, format, bytes: bytesOf(messagesOf, batch) })),
  );
  progress('all formats');
  return results;
}

function bytesOf(messagesOf, batch) {
  const workload = new Workload();
  const sent = Array.from({ length: RECORDS / batch }, () => messagesOf(workload.records(batch))).flat();
  const total = (compress) => sent.reduce((bytes, message) => bytes + compress(message).length, 0) / RECORDS;
  return Object.fromEntries(Object.entries(COMPRESSIONS).map(([name, compress]) => [name, total(compress)]));
}

export function tables(results) {
  return BATCHES.map((batch) => ({
    title: `batches of ${batch}`,
    rows: results.filter((result) => result.batch === batch).map(({ format, bytes }) => ({ '': format, ...bytes })),
  }));
}

export function goals(results) {
  const ratioOf = (format, compression) => {
    const of = (name) => results.find((result) => result.format === name && result.batch === 512).bytes[compression];
    return of(format) / of('OTLP protobuf');
  };
  return [
    goal('bytes, gzip 1, otlp layout vs OTLP/proto', { most: 1 }, ratioOf('otlp', 'gzip 1')),
    goal('bytes, gzip 1, default layout vs OTLP/proto', { most: 1.1 }, ratioOf('default', 'gzip 1')),
    goal('bytes, raw, default layout vs OTLP/proto', { most: 1.8 }, ratioOf('default', 'none')),
    goal('bytes, raw, otlp layout vs OTLP/proto', { most: 1.15 }, ratioOf('otlp', 'none')),
  ];
}
