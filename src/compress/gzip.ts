import { promisify } from 'node:util';
import { gzip as compress } from 'node:zlib';
import type { Codec } from './codec.ts';

const gzipAsync = promisify(compress) as (bytes: Uint8Array, options: object) => Promise<Buffer>;

export const gzip: Codec = {
  name: 'gzip',
  maxLevel: 9,
  maxBytes: Number.POSITIVE_INFINITY,
  compress: (bytes, level, limits) => gzipAsync(bytes, { level, ...limits }),
};
