import type { BufferPool } from '../encode/buffer-pool.ts';
import type { Codec } from './codec.ts';
import { Compressor } from './compressor.ts';
import { gzip } from './gzip.ts';
import { zstd } from './zstd.ts';

export type CompressionName = 'none' | Codec['name'];

/** @throws Error where the running Node.js does not have it. */
export function codecOf(name: CompressionName): Codec | undefined {
  switch (name) {
    case 'none':
      return undefined;
    case 'gzip':
      return gzip;
    case 'zstd':
      if (zstd === undefined) throw new Error(`Node.js ${process.versions.node} has no zstd; 22.15 and later have`);
      return zstd;
  }
}

/** The compressor that is configured, if any. */
export function createCompressor(
  { compression, compressionLevel }: { readonly compression: CompressionName; readonly compressionLevel: number },
  pool: BufferPool,
  warn: (cause: string, message: string) => void,
): Compressor | undefined {
  const codec = codecOf(compression);
  return codec && new Compressor({ codec, level: compressionLevel, pool, warn });
}
