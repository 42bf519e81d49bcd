import { Socket } from 'node:net';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { createClient } from '../performance/clients.mjs';
import { RECEIVER } from '../performance/receivers.mjs';
import { Workload } from '../performance/workload.mjs';
import { Child } from '../support/child.mjs';

const BATCHES = 50;
/** Messages that a socket takes whole. */
const SMALL_BATCH = 16;
const CHUNK_BYTES = 8_192;
/** Cut into four messages of at most {@link CHUNK_BYTES}. */
const FOUR_CHUNKS = 32;
const ROTATION_MILLIS = 20;
const ROTATIONS = 20;

/** What the exporter asks of the operating system, and of the event loop. */
export async function sending() {
  const receiver = new Child(RECEIVER, { args: ['forward'] });
  try {
    const port = await receiver.ask('listen');
    return {
      'writes a chunk, one at a time': await writesPerChunk(port, receiver, SMALL_BATCH),
      'writes a chunk, four at a time': await writesPerChunk(port, receiver, FOUR_CHUNKS, {
        maxChunkBytes: CHUNK_BYTES,
      }),
      'event-loop turns a batch': await turnsPerBatch(port),
      'sockets a rotation': await socketsPerRotation(port, receiver),
    };
  } finally {
    await receiver.end();
  }
}

async function writesPerChunk(port, receiver, batch, options = {}) {
  const { send, close } = createClient('exporter', { port, rotationIntervalMillis: 0, ...options });
  const workload = new Workload();
  // The first chunk of a connection goes alone.
  await send(workload.records(1));
  await receiver.ask('usage');
  const writes = countWrites();
  for (let i = 0; i < BATCHES; i++) await send(workload.records(batch));
  writes.stop();
  await close();
  const { messages } = await receiver.ask('usage');
  return writes.count / messages;
}

/** Writes that sockets hand to the operating system, whether of one buffer or of several. */
function countWrites() {
  const { _write, _writev } = Socket.prototype;
  const writes = {
    count: 0,
    stop() {
      Object.assign(Socket.prototype, { _write, _writev });
    },
  };
  const counting = (original) =>
    function write(...args) {
      writes.count++;
      return original.apply(this, args);
    };
  Object.assign(Socket.prototype, { _write: counting(_write), _writev: counting(_writev) });
  return writes;
}

async function turnsPerBatch(port) {
  const { send, close } = createClient('exporter', { port, rotationIntervalMillis: 0 });
  const workload = new Workload();
  await send(workload.records(1));
  const batches = Array.from({ length: BATCHES }, () => workload.records(SMALL_BATCH));
  const before = performance.nodeTiming.uvMetricsInfo.loopCount;
  for (const batch of batches) await send(batch);
  const turns = performance.nodeTiming.uvMetricsInfo.loopCount - before;
  await close();
  return turns / BATCHES;
}

async function socketsPerRotation(port, receiver) {
  const { exporter, send, close } = createClient('exporter', { port, rotationIntervalMillis: ROTATION_MILLIS });
  const workload = new Workload();
  await receiver.ask('usage');
  while (exporter.stats().rotations < ROTATIONS) {
    await send(workload.records(1));
    await sleep(1);
  }
  const { rotations } = exporter.stats();
  await close();
  const { connections } = await receiver.ask('usage');
  // One is not by a rotation.
  return (connections - 1) / rotations;
}
