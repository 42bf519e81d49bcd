// What a rotation costs: the same records over connections that rotate every few milliseconds, and that do not.
import { median, quantile } from 'd3-array';
import { FluentForwardLogExporter } from 'opentelemetry-exporter-fluent-forward';
import { generate } from 'selfsigned';
import { interleave } from '../interleave.mjs';
import { Receivers } from '../receivers.mjs';
import { measure } from '../window.mjs';
import { Workload } from '../workload.mjs';

export const TITLE = 'Rotation: the process’s CPU time for one, and what it does to latency';

const ROTATION_MILLIS = 20;
/** An export a turn of a timer: the work between rotations is small, so that theirs shows. */
const EXPORTS = 200;
const PAUSE_MILLIS = 2;

export function createSubject({ endpoint, ca, rotationIntervalMillis }) {
  const workload = new Workload();
  const exporter = new FluentForwardLogExporter({ endpoint, rotationIntervalMillis, ...(ca && { tls: { ca } }) });
  const send = (record) =>
    new Promise((resolve, reject) => {
      exporter.export([record], ({ code, error }) => (code === 0 ? resolve() : reject(error)));
    });
  return {
    async pass() {
      const records = workload.records(EXPORTS);
      const before = exporter.stats().rotations;
      const latencies = [];
      const { cpuMicros } = await measure(async () => {
        for (const record of records) {
          const start = performance.now();
          await send(record);
          latencies.push(performance.now() - start);
          await new Promise((resolve) => setTimeout(resolve, PAUSE_MILLIS));
        }
      });
      return { cpuMicros, latencies, rotations: exporter.stats().rotations - before };
    },
    close: () => exporter.shutdown(),
  };
}

export async function run({ progress }) {
  const { cert, private: key } = await generate([{ name: 'commonName', value: '127.0.0.1' }], {
    keyType: 'ec',
    algorithm: 'sha256',
    extensions: [{ name: 'subjectAltName', altNames: [{ type: 7, ip: '127.0.0.1' }] }],
  });
  const results = [];
  for (const tls of [undefined, { cert, key }]) {
    const receivers = await Receivers.start({ tls });
    try {
      results.push(await measureRotations(receivers, tls));
    } finally {
      await receivers.end();
    }
    progress(tls === undefined ? 'plain' : 'TLS');
  }
  return results;
}

async function measureRotations(receivers, tls) {
  const endpoint = `${tls === undefined ? 'tcp' : 'tls'}://127.0.0.1:${receivers.portOf('exporter')}`;
  const common = { endpoint, ca: tls?.cert };
  const { rotating, resting } = await interleave({
    scenario: 'rotation',
    subjects: {
      rotating: { ...common, rotationIntervalMillis: ROTATION_MILLIS },
      resting: { ...common, rotationIntervalMillis: 0 },
    },
    warmups: 1,
    rounds: 5,
  });
  const cpuMicros = rotating.map((own, round) => (own.cpuMicros - resting[round].cpuMicros) / own.rotations);
  const latency = (passes) => {
    const latencies = passes.flatMap((own) => own.latencies);
    return { p50: quantile(latencies, 0.5), p99: quantile(latencies, 0.99) };
  };
  return {
    transport: tls === undefined ? 'plain' : 'TLS',
    cpuMicros: median(cpuMicros),
    rotations: rotating.reduce((sum, own) => sum + own.rotations, 0),
    rotating: latency(rotating),
    resting: latency(resting),
  };
}

export function tables(results) {
  const rows = results.map(({ transport, cpuMicros, rotations, rotating, resting }) => ({
    '': transport,
    'CPU µs a rotation': cpuMicros,
    rotations,
    'ms to the ack, p50': rotating.p50,
    'p50 without': resting.p50,
    p99: rotating.p99,
    'p99 without': resting.p99,
  }));
  return [{ digits: 2, rows }];
}
