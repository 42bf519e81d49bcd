// A receiver whose listeners and scripts all throw, and a client. At the end it writes what has happened as JSON.
// With the argument `die` nothing handles uncaught exceptions.
import { once } from 'node:events';
import { connect } from 'node:net';
import { FluentForwardLogExporter } from 'opentelemetry-exporter-fluent-forward';
import { ForwardReceiver } from 'opentelemetry-exporter-fluent-forward/testing';

const uncaught = [];
if (process.argv[2] !== 'die') process.on('uncaughtException', ({ message }) => uncaught.push(message));
const throwing = (name) => () => {
  throw new Error(name);
};

const receiver = await ForwardReceiver.listen({
  security: { sharedKey: 'key' },
  messageFaults: throwing('script of messages'),
  connectionFaults: throwing('script of connections'),
  handshakeFaults: throwing('script of handshakes'),
});
const EVENTS = ['connection', 'handshake', 'message', 'disconnect', 'invalid', 'close'];
/** The events that reached a listener which was added after the one that throws. */
const seen = [];
const invalid = [];
for (const event of EVENTS) {
  receiver.on(event, throwing(event));
  receiver.on(event, () => seen.push(event));
}
receiver.on('invalid', ({ message }) => invalid.push(message));

const exporter = new FluentForwardLogExporter({
  endpoint: receiver.endpoint,
  sharedKey: 'key',
  rotationIntervalMillis: 0,
});
const body = (text) => ({
  hrTime: [1_700_000_000, 0],
  hrTimeObserved: [1_700_000_000, 0],
  body: text,
  attributes: {},
  resource: { attributes: {} },
  instrumentationScope: { name: '' },
  droppedAttributesCount: 0,
});
const codes = [];
for (const text of ['a', 'b']) {
  const { code } = await new Promise((done) => exporter.export([body(text)], done));
  codes.push(code);
}
await receiver.waitForEntries(2);
const disconnected = once(receiver, 'disconnect');
await exporter.shutdown();
await disconnected;

const stranger = connect(receiver.port, '127.0.0.1');
stranger.on('error', () => {}).write(Uint8Array.of(0xc1));
await once(receiver, 'disconnect');
await receiver.close();
await new Promise(setImmediate);

const { connectionCount, entryCount } = receiver;
process.stdout.write(JSON.stringify({ uncaught, seen, invalid, codes, connectionCount, entryCount }));
