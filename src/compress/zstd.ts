import type { Transform } from 'node:stream';
// Not the names: bundlers would import createZstdCompress, which older versions of Node.js do not have.
import zlib from 'node:zlib';
import type { Codec } from './codec.ts';
import { STREAM_OPTIONS, StreamEngine } from './engine.ts';

/** The part of `node:zlib` that Node.js has from 22.15 on. */
interface Zstd {
  readonly createZstdCompress: (options: object) => Transform;
  readonly constants: {
    readonly ZSTD_e_end: number;
    readonly ZSTD_c_compressionLevel: number;
    readonly ZSTD_c_windowLog: number;
  };
}

/** The least window that holds `maxBytes`: it bounds what the higher levels allocate. */
const WINDOW_LOG = 20;

export const zstd: Codec<'zstd'> = {
  name: 'zstd',
  maxLevel: 19,
  // Fluent Bit acknowledges and loses a frame that holds more than 1,024,000.
  maxBytes: 1_000_000,
  firstReleases: { Fluentd: '1.19', 'Fluent Bit': '4.1' },
  ackCaveat: 'Fluent Bit before 4.1 does so and loses it',
  unavailable:
    'createZstdCompress' in zlib ? undefined : `Node.js ${process.versions.node} has no zstd; 22.15 and later have`,
  createEngine: (level) => {
    const { createZstdCompress, constants } = zlib as unknown as Zstd;
    const params = { [constants.ZSTD_c_compressionLevel]: level, [constants.ZSTD_c_windowLog]: WINDOW_LOG };
    return new StreamEngine(createZstdCompress({ ...STREAM_OPTIONS, params, flush: constants.ZSTD_e_end }));
  },
};
