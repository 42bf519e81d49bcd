// A receiver behind a gate, in a process of its own: counts the records that arrive, by their numbers.
import { once } from 'node:events';
import { createServer } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { ForwardReceiver } from 'opentelemetry-exporter-fluent-forward/testing';
import { freePort } from '../../test/support/receiver-process.mjs';
import { answer } from '../support/child.mjs';
import { bodiesInProtobuf } from '../support/otlp-bodies.mjs';
import { Gate } from './gate.mjs';
import { numberIn } from './records.mjs';

const SETTLE_LIMIT_MILLIS = 30_000;
const POLL_MILLIS = 50;
const SERVERS = { forward: listenForForward, otlp: listenForOtlp };

const numbers = new Set();
let received = 0;
let gate;
let faults;

function count(body) {
  const number = numberIn(body);
  if (number === undefined) return;
  received++;
  numbers.add(number);
}

async function listenForForward() {
  const receiver = await ForwardReceiver.listen({ retain: false });
  receiver.on('message', ({ entries }) => {
    for (const { record } of entries) count(record.message);
  });
  return receiver.port;
}

/** OTLP over HTTP: an empty response means that all records were accepted. */
async function listenForOtlp() {
  const server = createServer(async (request, response) => {
    try {
      for (const body of bodiesInProtobuf(await buffer(request))) count(body);
      response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end();
    } catch {
      // The connection was broken in mid-request.
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server.address().port;
}

/** Does to the connections what the scenario says, at the times that it says. */
async function breakConnections(steps) {
  const start = performance.now();
  for (const { atMillis, action } of steps) {
    await sleep(start + atMillis - performance.now());
    await gate[action]();
  }
}

answer({
  async listen(protocol) {
    const port = await freePort();
    gate = new Gate(port, await SERVERS[protocol]());
    await gate.open();
    return port;
  },

  startFaults(steps) {
    faults = breakConnections(steps);
  },

  /** Waits until the faults are over and nothing is under way any more, and returns what has arrived. */
  async tally() {
    await faults;
    const end = performance.now() + SETTLE_LIMIT_MILLIS;
    while (gate.connections > 0 && performance.now() < end) await sleep(POLL_MILLIS);
    return { received, numbers };
  },
});
