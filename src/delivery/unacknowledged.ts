import { CODECS } from '../compress/codecs.ts';
import type { Chunk } from '../encode/chunk.ts';
import type { FluentForwardConnectionError } from '../errors.ts';
import { printable } from '../printable.ts';
import type { FlushTimeout } from './outcome.ts';

export const COMPARE_SIZES = 'compare chunk_size_limit (Fluentd) and buffer_max_size (Fluent Bit) with maxChunkBytes';

/** Why a chunk is refused, for messages. */
export function describeRefusal(chunk: Chunk): string {
  const advice = [describeCodec(chunk), COMPARE_SIZES].filter((part) => part !== undefined);
  return `${describeChunk(chunk)} is not acknowledged although others are: receivers probably refuse it; ${advice.join('; ')}`;
}

/** The chunk, and what it needs, for messages that say themselves that it is refused. */
export function describeRefusedChunk(chunk: Chunk): string {
  return [describeChunk(chunk), describeCodec(chunk)].filter((part) => part !== undefined).join('; ');
}

/** Which releases of receivers cannot decompress the chunk. Undefined if all can. */
function describeCodec({ compression }: Chunk): string | undefined {
  const codec = Object.values(CODECS).find(({ name }) => name === compression?.name);
  const tooOld = Object.entries(codec?.firstReleases ?? {}).map(
    ([receiver, release]) => `${receiver} before ${release}`,
  );
  return tooOld.length === 0 ? undefined : `${codec?.name}, which ${tooOld.join(' and ')} lack`;
}

/** Why no chunk is acknowledged, for messages. */
export function describeSilence(chunk: Chunk): string {
  return (
    `${describeChunk(chunk)} was sent, and neither it nor a later one was acknowledged: does the receiver run, and is its ` +
    `buffer full? If other chunks get through, ${COMPARE_SIZES}`
  );
}

/** What a flush that took too long leaves behind, for messages. */
export function describeFlushTimeout(
  records: number,
  { limit, millis }: FlushTimeout,
  lastError: FluentForwardConnectionError | undefined,
): string {
  const why = limit === 'no ack' ? `no ack within ${millis} ms (flushTimeoutMillis)` : `it may take ${millis} ms`;
  const fault = lastError === undefined ? '' : `; last fault: ${lastError.message}`;
  return `a flush has ended: ${why}; ${records} log record(s) are not acknowledged; they are kept, and sent again${fault}`;
}

function describeChunk({ bytes, compression, records, tag }: Chunk): string {
  const size = `${bytes.length} bytes${compression === undefined ? '' : ` (${compression.rawBytes} before ${compression.name})`}`;
  return `a chunk of ${size} (${records} record(s), tag ${printable(JSON.stringify(tag))})`;
}
