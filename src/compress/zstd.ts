import { promisify } from 'node:util';
import * as zlib from 'node:zlib';
import type { Codec } from './codec.ts';

/** What `node:zlib` has from Node.js 22.15 on. */
interface Zstd {
  readonly zstdCompress: (
    bytes: Uint8Array,
    options: object,
    callback: (error: Error | null, compressed: Buffer) => void,
  ) => void;
  readonly constants: { readonly ZSTD_c_compressionLevel: number; readonly ZSTD_c_windowLog: number };
}

/** The least window that holds `maxBytes`: it bounds what the higher levels allocate. */
const WINDOW_LOG = 20;

/** `undefined` where the running Node.js has none. */
export const zstd: Codec | undefined = 'zstdCompress' in zlib ? create(zlib as unknown as Zstd) : undefined;

function create({ zstdCompress, constants }: Zstd): Codec {
  const compress = promisify(zstdCompress);
  return {
    name: 'zstd',
    maxLevel: 19,
    // Fluent Bit acknowledges and loses a frame that holds more than 1,024,000.
    maxBytes: 1_000_000,
    compress: (bytes, level, limits) => {
      const params = { [constants.ZSTD_c_compressionLevel]: level, [constants.ZSTD_c_windowLog]: WINDOW_LOG };
      return compress(bytes, { params, ...limits });
    },
  };
}
