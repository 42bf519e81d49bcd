import type { BufferPool } from '../encode/buffer-pool.ts';
import { type CompressionName, codecOf } from './codecs.ts';
import { Compressor } from './compressor.ts';

/** The compressor that is configured, if any. */
export function createCompressor(
  { compression, compressionLevel }: { readonly compression: CompressionName; readonly compressionLevel: number },
  pool: BufferPool,
  warn: (cause: string, message: string) => void,
): Compressor | undefined {
  const codec = codecOf(compression);
  return codec && new Compressor({ codec, level: compressionLevel, pool, warn });
}
