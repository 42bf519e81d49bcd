// All that sends records to an ack, behind one interface: `prepare()` makes of records what `send()` takes,
// and costs nothing that is measured; `send()` resolves with the ack, and rejects when there is none.
import { once } from 'node:events';
import { connect } from 'node:net';
import { EventTime, FluentClient } from '@fluent-org/logger';
import { Encoder, ExtData } from '@msgpack/msgpack';
import { OTLPLogExporter as OtlpJsonExporter } from '@opentelemetry/exporter-logs-otlp-http';
import { OTLPLogExporter as OtlpProtoExporter } from '@opentelemetry/exporter-logs-otlp-proto';
import fluentLogger from 'fluent-logger';
import { FluentForwardLogExporter } from 'opentelemetry-exporter-fluent-forward';
import { BufferPool } from '../../dist/esm/encode/buffer-pool.js';
import { Chunk, chunkId } from '../../dist/esm/encode/chunk.js';
import { createBatchIntake } from '../../dist/esm/pipeline/create.js';
import { createEncoder } from './encoder.mjs';
import { plainRecord } from './plain.mjs';

const TAG = 'opentelemetry.logs';
/** Beyond every delay of an ack that is measured. */
const ACK_TIMEOUT_MILLIS = 10_000;
/** `{"ack": "…"}` with an id of 24 characters, as all have. */
const ACK_BYTES = 30;

/** Each client's factory; with which receiver it speaks; and whether it can have several batches under way. */
export const CLIENTS = {
  exporter: { receiver: 'forward', create: exporter },
  'otlp-proto': { receiver: 'otlp', create: otlpProto },
  'otlp-http': { receiver: 'otlp', create: otlpJson },
  '@fluent-org/logger': { receiver: 'forward', create: fluentOrgLogger },
  'fluent-logger': { receiver: 'forward', create: oldFluentLogger, isSerial: true },
  'exporter, @msgpack/msgpack': { receiver: 'forward', create: messagePackExporter },
  'raw socket': { receiver: 'forward', create: rawSocket },
  'no-op': { receiver: 'forward', create: noop },
};

export function createClient(name, surroundings) {
  return CLIENTS[name].create(surroundings);
}

/** The exporter of an SDK's processor; only for those that are one. */
export function createExporter(name, surroundings) {
  return createClient(name, surroundings).exporter;
}

function exporter({ port, ...options }) {
  return ofExporter(new FluentForwardLogExporter({ endpoint: `tcp://127.0.0.1:${port}`, ...options }));
}

/** As in the package's README; it keeps its connections alive by default. */
function otlpProto({ port }) {
  return ofExporter(new OtlpProtoExporter({ url: `http://127.0.0.1:${port}/v1/logs` }));
}

/** As in the package's README. */
function otlpJson({ port }) {
  return ofExporter(new OtlpJsonExporter({ url: `http://127.0.0.1:${port}/v1/logs` }));
}

function noop() {
  return ofExporter({
    export: (_, done) => process.nextTick(done, { code: 0 }),
    forceFlush: async () => {},
    shutdown: async () => {},
  });
}

function ofExporter(exporter) {
  return {
    exporter,
    prepare: (records) => records,
    send: (records) => new Promise((...settle) => exporter.export(records, resultCallback(...settle))),
    close: () => exporter.shutdown(),
  };
}

/** Outside of what knows the records: it would keep them until there is a result. */
function resultCallback(resolve, reject) {
  return ({ code, error }) => (code === 0 ? resolve() : reject(error));
}

/**
 * `PackedForward`, which its documentation calls the mode that saves memory and bandwidth, with
 * acknowledgements and times to the nanosecond. What is emitted in one turn leaves as one message.
 */
function fluentOrgLogger({ port }) {
  const client = new FluentClient(TAG, {
    eventMode: 'PackedForward',
    ack: { ackTimeout: ACK_TIMEOUT_MILLIS },
    socket: { host: '127.0.0.1', port },
  });
  return {
    prepare: (records) => records.map((record) => [plainRecord(record), new EventTime(...record.hrTime)]),
    send(events) {
      let acknowledged;
      for (const [record, time] of events) acknowledged = client.emit(record, time);
      return acknowledged;
    },
    close: () => client.shutdown(),
  };
}

/** The same mode, under the name that its README gives it. */
function oldFluentLogger({ port }) {
  const sender = fluentLogger.createFluentSender(TAG, {
    host: '127.0.0.1',
    port,
    eventMode: 'PackedForward',
    requireAckResponse: true,
    ackResponseTimeout: ACK_TIMEOUT_MILLIS,
    // The least: with its default of 100 ms it would mostly wait.
    flushInterval: 1,
  });
  return {
    prepare: (records) => records.map((record) => [plainRecord(record), new fluentLogger.EventTime(...record.hrTime)]),
    send: (events) =>
      new Promise((resolve, reject) => {
        const done = (error) => (error ? reject(error) : resolve());
        const last = events.length - 1;
        for (let i = 0; i < last; i++) sender.emit(events[i][0], events[i][1]);
        sender.emit(events[last][0], events[last][1], done);
      }),
    close: () => new Promise((resolve) => sender.end(null, null, resolve)),
  };
}

/** This package's way to the ack, with another encoder in front of it. */
function messagePackExporter({ port }) {
  const intake = createBatchIntake({ endpoint: `tcp://127.0.0.1:${port}` });
  const pool = new BufferPool();
  const encoder = new Encoder();
  return {
    prepare: (records) => records.map((record) => [eventTime(record.hrTime), plainRecord(record)]),
    send(entries) {
      const id = chunkId();
      const payload = Buffer.concat(entries.map((entry) => encoder.encode(entry)));
      const message = Buffer.from(encoder.encodeSharedRef([TAG, payload, { size: entries.length, chunk: id }]));
      const { length } = message;
      const records = entries.length;
      // Where the entries stand is asked for to compress them.
      const parts = { prefixBytes: 0, payloadBytes: payload.length, length, buffer: message, pool };
      const chunk = new Chunk({ id, tag: TAG, records, entries: records, ...parts });
      return new Promise((resolve, reject) => {
        intake.send([chunk], ({ kind, cause }) => (kind === 'acknowledged' ? resolve() : reject(cause)));
      });
    },
    close: () => intake.shutdown(),
  };
}

function eventTime([seconds, nanoseconds]) {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt32BE(seconds, 0);
  bytes.writeUInt32BE(nanoseconds, 4);
  return new ExtData(0, bytes);
}

/** Writes the exporter's own bytes, which are ready, and counts the bytes of the acks: the most that can be had. */
async function rawSocket({ port }) {
  const encode = createEncoder();
  const socket = connect({ host: '127.0.0.1', port, noDelay: true });
  await once(socket, 'connect');
  const waiting = [];
  let bytes = 0;
  socket.on('data', ({ length }) => {
    bytes += length;
    for (; bytes >= ACK_BYTES; bytes -= ACK_BYTES) waiting.shift()();
  });
  return {
    prepare: (records) =>
      encode(records).map((chunk) => {
        const message = Buffer.from(chunk.bytes);
        chunk.release();
        return message;
      }),
    async send(messages) {
      const acks = messages.map(() => new Promise((resolve) => waiting.push(resolve)));
      for (const message of messages) socket.write(message);
      await Promise.all(acks);
    },
    close: () => socket.destroySoon(),
  };
}
