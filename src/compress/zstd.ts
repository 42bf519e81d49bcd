import type { Transform } from 'node:stream';
import * as zlib from 'node:zlib';
import type { Codec } from './codec.ts';
import { STREAM_OPTIONS, StreamEngine } from './engine.ts';

/** What `node:zlib` has from Node.js 22.15 on. */
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

/** `undefined` where the running Node.js has none. */
export const zstd: Codec | undefined = 'createZstdCompress' in zlib ? codec(zlib as unknown as Zstd) : undefined;

function codec({ createZstdCompress, constants }: Zstd): Codec {
  return {
    name: 'zstd',
    maxLevel: 19,
    // Fluent Bit acknowledges and loses a frame that holds more than 1,024,000.
    maxBytes: 1_000_000,
    createEngine: (level) => {
      const params = { [constants.ZSTD_c_compressionLevel]: level, [constants.ZSTD_c_windowLog]: WINDOW_LOG };
      return new StreamEngine(createZstdCompress({ ...STREAM_OPTIONS, params, flush: constants.ZSTD_e_end }));
    },
  };
}
