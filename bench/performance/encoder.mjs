// Not public: what the exporter encodes with, for figures of the encoding alone.
import { systemClock } from '../../dist/esm/clock.js';
import { resolveConfig } from '../../dist/esm/config/config.js';
import { BatchEncoder } from '../../dist/esm/encode/batch.js';
import { BufferPool } from '../../dist/esm/encode/buffer-pool.js';
import { createLayout } from '../../dist/esm/encode/layout/create.js';
import { MESSAGE_CEILING_BYTES } from '../../dist/esm/encode/message.js';
import { FunctionTagger } from '../../dist/esm/encode/tag.js';

/** Encodes records as an exporter with these options does; gives the chunks, which are to be released. */
export function createEncoder(options = {}) {
  const config = resolveConfig(options, {}, fail);
  const encoder = new BatchEncoder({
    tag: typeof config.tag === 'function' ? new FunctionTagger(config.tag, fail) : config.tag,
    limits: { maxChunkBytes: config.maxChunkBytes, ceilingBytes: MESSAGE_CEILING_BYTES },
    layout: createLayout(config, fail),
    pool: new BufferPool(),
    warn: fail,
  });
  return (records) => {
    const { chunks, dropped } = encoder.encode(records, systemClock.wallTime());
    if (dropped > 0) throw new Error(`${dropped} records could not be encoded`);
    return chunks;
  };
}

function fail(message) {
  throw new Error(message);
}
