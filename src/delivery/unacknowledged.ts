import type { Chunk } from '../encode/chunk.ts';
import { printable } from '../printable.ts';

const COMPARE_SIZES = 'compare chunk_size_limit (Fluentd) and buffer_max_size (Fluent Bit) with maxChunkBytes';

/** Why a chunk is refused, for messages. */
export function describeRefusal(chunk: Chunk): string {
  const { compression } = chunk;
  const doubt = compression?.name === 'zstd' ? 'zstd, which Fluentd before 1.19 and Fluent Bit before 4.1 lack; ' : '';
  return `${describeChunk(chunk)} is not acknowledged although others are: receivers probably refuse it; ${doubt}${COMPARE_SIZES}`;
}

/** Why no chunk is acknowledged, for messages. */
export function describeSilence(chunk: Chunk): string {
  return (
    `${describeChunk(chunk)} was sent, and neither it nor a later one was acknowledged: does the receiver run, and is its ` +
    `buffer full? If other chunks get through, ${COMPARE_SIZES}`
  );
}

function describeChunk({ bytes, compression, records, tag }: Chunk): string {
  const size = `${bytes.length} bytes${compression === undefined ? '' : ` (${compression.rawBytes} before ${compression.name})`}`;
  return `a chunk of ${size} (${records} record(s), tag ${printable(JSON.stringify(tag))})`;
}
