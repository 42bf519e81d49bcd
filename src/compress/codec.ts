import type { Engine } from './engine.ts';

/** A compression that receivers of the Forward protocol know. */
export interface Codec {
  /** What the option `compressed` of a message calls it. */
  readonly name: 'gzip' | 'zstd';
  /** Levels are from 1 to this. */
  readonly maxLevel: number;
  /** The most bytes that receivers decompress. */
  readonly maxBytes: number;
  createEngine(level: number): Engine;
}
