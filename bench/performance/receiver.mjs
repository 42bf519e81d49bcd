// What the clients send to, in a process of its own: looks for the end of each message or request, and
// acknowledges it. The first argument is the protocol.
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { createServer } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { encode } from '@msgpack/msgpack';
import { answer } from '../support/child.mjs';
import { PackedMessages } from './packed-messages.mjs';

const [protocol] = process.argv.slice(2);
let ackDelayMillis = 0;
/** The bytes of what arrives while a sample is taken. */
let sample;
let bytes = 0;
let messages = 0;
let connections = 0;
let cpu = process.cpuUsage();

function later(callback) {
  if (ackDelayMillis === 0) callback();
  else setTimeout(callback, ackDelayMillis);
}

function take(data) {
  bytes += data.length;
  sample?.push(data);
}

function serveForward(socket) {
  connections++;
  const stream = new PackedMessages();
  socket.setNoDelay(true);
  // A client that is done just ends.
  socket.on('error', () => {});
  socket.on('data', (data) => {
    take(data);
    for (const { chunk } of stream.push(data)) {
      messages++;
      later(() => socket.write(encode({ ack: chunk })));
    }
  });
}

/** OTLP over HTTP: an empty response, in the encoding of the request, says that all was accepted. */
function serveOtlp(request, response) {
  messages++;
  request.on('data', take);
  request.on('end', () =>
    later(() => {
      const type = request.headers['content-type'];
      response.writeHead(200, { 'content-type': type });
      response.end(type === 'application/json' ? '{}' : undefined);
    }),
  );
}

function createReceiver(tls) {
  if (protocol === 'otlp') return createHttpServer(serveOtlp).on('connection', () => connections++);
  return tls === undefined ? createServer(serveForward) : createTlsServer(tls, serveForward);
}

answer({
  /** Starts to listen, and tells where. */
  async listen({ port = 0, tls } = {}) {
    const server = createReceiver(tls);
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    return server.address().port;
  },

  delayAcks(millis) {
    ackDelayMillis = millis;
  },

  /** Since it was last asked. */
  usage() {
    const { user, system } = process.cpuUsage(cpu);
    const usage = { bytes, messages, connections, cpuMillis: (user + system) / 1_000 };
    cpu = process.cpuUsage();
    bytes = 0;
    messages = 0;
    connections = 0;
    return usage;
  },

  startSample() {
    sample = [];
  },

  takeSample() {
    const taken = Buffer.concat(sample);
    sample = undefined;
    return taken;
  },
});
