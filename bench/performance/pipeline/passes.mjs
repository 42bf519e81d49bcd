// What is measured of a pipeline, each in passes of its own, so that one figure does not disturb another. The records
// are made inside of what is measured: made before, they would hide what a queue of them costs the garbage collector.
import { setImmediate as turn } from 'node:timers/promises';
import v8 from 'node:v8';
import { measure } from '../window.mjs';
import { Load } from './load.mjs';
import { timeEmits } from './pace.mjs';
import { createPipeline } from './providers.mjs';

const CPU_RECORDS = 16_384;
/** What `BatchLogRecordProcessor` takes before it drops records. */
const QUEUE_RECORDS = 2_048;
const TURN_RECORDS = 64;
const RATE_RECORDS = 32_768;

const PASSES = {
  /** CPU time, with some records in each turn of the event loop. */
  turns: (provider, load) => cpuTime(provider, load, TURN_RECORDS),
  /** CPU time, with as many in one turn as the SDK's queue holds: they wait, as they do for a slow receiver. */
  bursts: (provider, load) => cpuTime(provider, load, QUEUE_RECORDS),
  rate,
  emit: (_, load, hasRoom) => timeEmits(load, hasRoom),
  heap,
};

/** `measured` is the name of one of the passes. */
export function createSubject({ pipeline, port, measured }) {
  const { provider, logger, hasRoom, acknowledged } = createPipeline(pipeline, port);
  const load = new Load(logger);
  return {
    async pass() {
      const figures = await PASSES[measured](provider, load, hasRoom);
      await provider.forceFlush();
      const arrived = acknowledged() ?? load.emitted;
      if (arrived !== load.emitted) throw new Error(`${pipeline}: ${arrived} of ${load.emitted} records have arrived`);
      return figures;
    },
    close: () => provider.shutdown(),
  };
}

async function cpuTime(provider, load, turnRecords) {
  const { cpuMicros } = await measure(async () => {
    for (let queued = 0; queued < CPU_RECORDS; queued += QUEUE_RECORDS) {
      for (let i = 0; i < QUEUE_RECORDS; i += turnRecords) {
        load.workAndLog(turnRecords);
        await turn();
      }
      await provider.forceFlush();
    }
  });
  return { cpuNanos: (cpuMicros * 1_000) / CPU_RECORDS };
}

/** Records a second, of an application that logs as fast as it can without a loss. */
async function rate(provider, load, hasRoom) {
  const end = load.emitted + RATE_RECORDS;
  const { millis } = await measure(async () => {
    while (load.emitted < end) {
      if (hasRoom(load.emitted)) load.log(TURN_RECORDS);
      await turn();
    }
    await provider.forceFlush();
  });
  return { recordsPerSecond: (RATE_RECORDS / millis) * 1_000 };
}

/** Heap that is still in use after a scavenge, while what was logged waits to be sent. */
function heap(_, load) {
  const before = heapBytes();
  load.log(QUEUE_RECORDS);
  return { heapBytes: (heapBytes() - before) / QUEUE_RECORDS };
}

function heapBytes() {
  // Two, as what survives one has its place in the heap only after another.
  globalThis.gc({ type: 'minor' });
  globalThis.gc({ type: 'minor' });
  return v8.getHeapStatistics().used_heap_size;
}
