import type { Codec } from './codec.ts';
import { gzip } from './gzip.ts';
import { zstd } from './zstd.ts';

/** Every codec by its name. Options, limits and messages are derived from this table. */
export const CODECS: { readonly [Name in 'gzip' | 'zstd']: Codec<Name> } = { gzip, zstd };

export type CodecName = keyof typeof CODECS;
export type CompressionName = 'none' | CodecName;

export const COMPRESSION_NAMES: readonly CompressionName[] = ['none', ...(Object.keys(CODECS) as CodecName[])];

/** @throws Error if this version of Node.js cannot compress with it. */
export function codecOf(name: CompressionName): Codec | undefined {
  if (name === 'none') return undefined;
  const codec = CODECS[name];
  if (codec.unavailable !== undefined) throw new Error(codec.unavailable);
  return codec;
}
