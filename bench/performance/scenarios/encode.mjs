// Encoding alone, of records that are new and of the same ones again.
import v8 from 'node:v8';
import { Encoder } from '@msgpack/msgpack';
import { JsonLogsSerializer, ProtobufLogsSerializer } from '@opentelemetry/otlp-transformer';
import { createEncoder } from '../encoder.mjs';
import { compare, goal } from '../figures.mjs';
import { interleave } from '../interleave.mjs';
import { plainRecord } from '../plain.mjs';
import { measure } from '../window.mjs';
import { Workload } from '../workload.mjs';

export const TITLE = 'Encoding: nanoseconds of CPU time, and heap bytes, a record';

const RECORDS = 8_192;
const BATCHES = [512, 4_096];
/** For the heap: so few that no collection comes between. */
const FEW_RECORDS = 512;
/** So many of the first. */
const QUICK_SUBJECTS = 3;

const SUBJECTS = {
  exporter: () => exporterWith({}),
  '@msgpack/msgpack': messagePack,
  'OTLP protobuf': () => serializer(ProtobufLogsSerializer),
  'OTLP JSON': () => serializer(JsonLogsSerializer),
  'exporter, flat': () => exporterWith({ layout: 'flat' }),
  'exporter, otlp': () => exporterWith({ layout: 'otlp', eventNameAttribute: false }),
};

function exporterWith(options) {
  const encode = createEncoder(options);
  return {
    prepare: (records) => records,
    encode(records) {
      for (const chunk of encode(records)) chunk.release();
    },
  };
}

/** The fastest way to use it: one encoder, whose buffer is lent, on plain objects that are ready. */
function messagePack() {
  const encoder = new Encoder();
  return {
    prepare: (records) => records.map(plainRecord),
    encode(records) {
      for (const record of records) encoder.encodeSharedRef(record);
    },
  };
}

function serializer({ serializeRequest }) {
  return { prepare: (records) => records, encode: serializeRequest };
}

export function createSubject({ subject, batch }) {
  const workload = new Workload();
  const { prepare, encode } = SUBJECTS[subject]();
  const nanosOf = async (batches) => {
    const { cpuMicros } = await measure(() => {
      for (const records of batches) encode(records);
    });
    return (cpuMicros * 1_000) / RECORDS;
  };
  return {
    /** The heap that the first batch after a full collection takes: much, when compiled code was thrown away. */
    heapAfterCollection() {
      const few = prepare(workload.records(FEW_RECORDS));
      encode(few);
      globalThis.gc();
      return heapBytesOf(() => encode(few));
    },
    async pass() {
      const batches = Array.from({ length: RECORDS / batch }, () => prepare(workload.records(batch)));
      const few = prepare(workload.records(FEW_RECORDS));
      const fresh = await nanosOf(batches);
      const reused = await nanosOf(batches);
      globalThis.gc({ type: 'minor' });
      return { fresh, reused, freshHeap: heapBytesOf(() => encode(few)), reusedHeap: heapBytesOf(() => encode(few)) };
    },
  };
}

/** A record's share of what is allocated on the JavaScript heap. */
function heapBytesOf(run) {
  const before = v8.getHeapStatistics().used_heap_size;
  run();
  return (v8.getHeapStatistics().used_heap_size - before) / FEW_RECORDS;
}

export async function run({ isQuick, progress }) {
  const names = Object.keys(SUBJECTS).slice(0, isQuick ? QUICK_SUBJECTS : undefined);
  const results = [];
  for (const batch of isQuick ? BATCHES.slice(0, 1) : BATCHES) {
    const outcomes = await interleave({
      scenario: 'encode',
      subjects: Object.fromEntries(names.map((subject) => [subject, { subject, batch }])),
      warmups: isQuick ? 2 : 5,
      rounds: isQuick ? 3 : 12,
    });
    progress(`batches of ${batch}`);
    const of = (figure) => compare(outcomes, figure, { moreIsBetter: false });
    results.push({
      batch,
      fresh: of('fresh'),
      reused: of('reused'),
      freshHeap: of('freshHeap'),
      reusedHeap: of('reusedHeap'),
    });
  }
  return results;
}

export function tables(results) {
  return results.map(({ batch, fresh, reused, freshHeap, reusedHeap }) => ({
    title: `batches of ${batch}`,
    rows: fresh.map((own, i) => ({
      '': own.subject,
      'ns, fresh': own.median,
      p10: own.p10,
      p90: own.p90,
      'times the exporter’s': own.advantage?.median,
      'ns, re-used': reused[i].median,
      'heap B, fresh': freshHeap[i].median,
      'heap B, re-used': reusedHeap[i].median,
    })),
  }));
}

export function goals([{ fresh, reusedHeap }]) {
  const advantageOver = (name) => fresh.find(({ subject }) => subject === name).advantage.median;
  return [
    goal('encode, fresh, vs @msgpack/msgpack: times as fast', { least: 5 }, advantageOver('@msgpack/msgpack')),
    goal('encode, fresh, vs OTLP protobuf: times as fast', { least: 4 }, advantageOver('OTLP protobuf')),
    goal('heap allocated while encoding, B/record', { most: 32 }, reusedHeap[0].median),
  ];
}
