import { systemClock } from '../../clock.ts';
import { createDelivery } from '../../delivery/create.ts';
import { Diagnostics } from '../../diagnostics.ts';
import { BufferPool } from '../../encode/buffer-pool.ts';
import { Chunk } from '../../encode/chunk.ts';
import { Counters } from '../../stats.ts';
import { Telemetry } from '../../telemetry/telemetry.ts';
import type { HandOver, PlainChunk } from '../hand-over.ts';
import { connectionConfig } from '../plain-config.ts';

/** In these turns TLS writes its close_notify. */
const CLOSING_TURNS = 3;
const FAULT_INTERVAL_MILLIS = 100;

/**
 * Sends chunks until all are acknowledged. `acknowledged` gets the index of each chunk, and `report` the last fault, as
 * long as there was no ack since.
 */
export async function send(
  { config, chunks }: HandOver,
  acknowledged: (index: number) => void,
  report: (fault: string) => void,
): Promise<void> {
  const { pool, sender } = createDelivery({
    config: connectionConfig(config),
    clock: systemClock,
    random: Math.random,
    diagnostics: new Diagnostics(systemClock),
    counters: new Counters(),
    telemetry: new Telemetry('exit'),
  });
  const faults = setInterval(() => {
    if (pool.lastError !== undefined) report(pool.lastError.message);
  }, FAULT_INTERVAL_MILLIS);
  const buffers = new BufferPool();
  let left = chunks.length;
  await new Promise<void>((resolve) => {
    sender.change(() => {
      for (const [index, chunk] of chunks.entries()) {
        sender.send(chunkOf(chunk, buffers), {
          acknowledged: () => {
            acknowledged(index);
            if (--left === 0) resolve();
          },
          // It is sent again until the main thread stops waiting.
          refused: () => {},
        });
      }
    });
  });
  clearInterval(faults);
  sender.close();
  for (let turn = 0; turn < CLOSING_TURNS; turn++) await new Promise<void>((done) => systemClock.afterReads(done));
}

/** A chunk as it is sent. Its parts are of no interest here. */
function chunkOf({ bytes, ...same }: PlainChunk, pool: BufferPool): Chunk {
  const { buffer, byteOffset, length } = bytes;
  const message = Buffer.from(buffer, byteOffset, length);
  return new Chunk({ ...same, entries: 0, prefixBytes: 0, payloadBytes: 0, length, buffer: message, pool });
}
