import type { Engine } from './engine.ts';

/** A compression that receivers of the Forward protocol know. */
export interface Codec<Name extends string = string> {
  /** The value of the option `compression`, and of the option `compressed` of a message. */
  readonly name: Name;
  /** The highest level. The lowest one is 1. */
  readonly maxLevel: number;
  /** The most bytes that receivers decompress. */
  readonly maxBytes: number;
  /** The first release of each receiver that can decompress it. Absent if all releases can. */
  readonly firstReleases?: Readonly<Record<string, string>>;
  /** Why an ack does not prove that the receiver can decompress it. Follows "acknowledged" in the report of doctor. */
  readonly ackCaveat?: string;
  /** Why this version of Node.js cannot compress with it. */
  readonly unavailable?: string | undefined;
  createEngine(level: number): Engine;
}
