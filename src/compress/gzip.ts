import { constants, createGzip } from 'node:zlib';
import type { Codec } from './codec.ts';
import { STREAM_OPTIONS, StreamEngine } from './engine.ts';

export const gzip: Codec<'gzip'> = {
  name: 'gzip',
  maxLevel: 9,
  maxBytes: Number.POSITIVE_INFINITY,
  createEngine: (level) => new StreamEngine(createGzip({ ...STREAM_OPTIONS, level, flush: constants.Z_FINISH })),
};
