/** A compression that receivers of the Forward protocol know. */
export interface Codec {
  /** What the option `compressed` of a message calls it. */
  readonly name: 'gzip' | 'zstd';
  /** Levels are from 1 to this. */
  readonly maxLevel: number;
  /** The most bytes that receivers decompress. */
  readonly maxBytes: number;
  /**
   * Compresses into one member or frame, on a thread of its own. Rejects with `ERR_BUFFER_TOO_LARGE` when that takes
   * more than `maxOutputLength` bytes. `chunkSize`: what is allocated at a time.
   */
  compress(bytes: Uint8Array, level: number, limits: CompressionLimits): Promise<Buffer>;
}

export interface CompressionLimits {
  readonly chunkSize: number;
  readonly maxOutputLength: number;
}
