import { decodeMulti } from '@msgpack/msgpack';

/** The chunk ids that a stream acknowledges, as another decoder reads it up to the first byte that it cannot read. */
export function acksIn(stream: Uint8Array): string[] {
  const acks: string[] = [];
  try {
    for (const value of decodeMulti(stream, { rawStrings: true })) {
      const ack: unknown = typeof value === 'object' && value !== null ? (value as { ack?: unknown }).ack : undefined;
      if (ack instanceof Uint8Array) acks.push(Buffer.from(ack).toString('latin1'));
    }
  } catch {
    // Whatever stands behind it is not read by anybody.
  }
  return acks;
}
