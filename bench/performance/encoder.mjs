// Not public: what the exporter encodes with, for figures of the encoding alone.
import { systemClock } from '../../dist/esm/clock.js';
import { resolveExporterConfig } from '../../dist/esm/config/config.js';
import { BufferPool } from '../../dist/esm/encode/buffer-pool.js';
import { createEncoder as createBatchEncoder } from '../../dist/esm/pipeline/create.js';

/** Encodes records as an exporter with these options does; gives the chunks, which are to be released. */
export function createEncoder(options = {}) {
  const encoder = createBatchEncoder(resolveExporterConfig(options, {}, fail), new BufferPool(), (_, message) =>
    fail(message),
  );
  return (records) => {
    const { chunks, dropped } = encoder.encode(records, systemClock.wallTime());
    if (dropped > 0) throw new Error(`${dropped} records could not be encoded`);
    return chunks;
  };
}

function fail(message) {
  throw new Error(message);
}
