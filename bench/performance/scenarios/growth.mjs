// How the cost of encoding grows: with the batch, and with what its records differ in.
import { ProtobufLogsSerializer } from '@opentelemetry/otlp-transformer';
import { createEncoder } from '../encoder.mjs';
import { compare } from '../figures.mjs';
import { interleave } from '../interleave.mjs';
import { measure } from '../window.mjs';
import { Workload } from '../workload.mjs';

export const TITLE = 'Growth: encoding, in nanoseconds of CPU time a record';

const BATCH = 4_096;
/** A tag of its own for every so many records, up to the most that a batch may have. */
const TAGS = [1, 8, 64];
const SERIES = [
  ...[100, 1_000, 10_000, 100_000].map((batch) => ({ grows: 'records a batch', to: batch, batch })),
  ...[1, 4, 16, 64].map((attributes) => ({ grows: 'attributes', to: attributes, workload: { attributes } })),
  ...[1, 10, 100, 1_000].map((resources) => ({ grows: 'resources', to: resources, workload: { resources } })),
  ...[1, 10, 100, 1_000].map((scopes) => ({ grows: 'scopes', to: scopes, workload: { scopes } })),
  ...TAGS.map((tags) => ({ grows: 'tags', to: tags, tags })),
];
const ENCODERS = {
  exporter: (tag) => exporterWith({ tag }),
  'exporter, otlp': (tag) => exporterWith({ tag, layout: 'otlp', eventNameAttribute: false }),
  'OTLP protobuf': () => (records) => ProtobufLogsSerializer.serializeRequest(records),
};

function exporterWith(options) {
  const encode = createEncoder(options);
  return (records) => {
    for (const chunk of encode(records)) chunk.release();
  };
}

/** In a pass all steps of all series: compiled code serves them all, as it does in a service. */
export function createSubject({ subject, steps }) {
  const measured = steps.map(({ batch = BATCH, workload = {}, tags = 1 }) => {
    const tag = tags === 1 ? 'opentelemetry.logs' : tagFunction(tags);
    return { batch, workload: new Workload(workload), encode: ENCODERS[subject](tag) };
  });
  return {
    async pass() {
      const nanos = [];
      for (const { batch, workload, encode } of measured) {
        const records = workload.records(batch);
        const { cpuMicros } = await measure(() => encode(records));
        nanos.push((cpuMicros * 1_000) / batch);
      }
      return nanos;
    },
  };
}

/** Gives each tag in turn. */
function tagFunction(tags) {
  let count = 0;
  return () => `logs.${count++ % tags}`;
}

export async function run({ progress }) {
  const outcomes = await interleave({
    scenario: 'growth',
    subjects: Object.fromEntries(Object.keys(ENCODERS).map((subject) => [subject, { subject, steps: SERIES }])),
    warmups: 1,
    rounds: 5,
  });
  progress('all rounds');
  return SERIES.map(({ grows, to }, step) => ({
    grows,
    to,
    nanos: compare(outcomes, step, { moreIsBetter: false }).map(({ subject, median }) => ({ subject, median })),
  }));
}

export function tables(results) {
  const names = [...new Set(results.map(({ grows }) => grows))];
  return names.map((name) => ({
    title: name,
    rows: results
      .filter(({ grows }) => grows === name)
      .map(({ to, nanos }) => ({
        '': to.toLocaleString('en-US'),
        ...Object.fromEntries(nanos.map(({ subject, median }) => [subject, median])),
      })),
  }));
}
