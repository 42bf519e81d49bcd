import type { Attributes } from '@opentelemetry/api';
import type { ConnectionStats } from '../stats.ts';

/** So many addresses an exporter names in its life; a provider keeps every set of attributes that it has seen. */
export const MAX_NAMED_ADDRESSES = 100;
/** What all further ones are called together. */
const OTHER = 'other';

/** The connections by address and state, each with its attributes. */
export class PeerAttributes {
  readonly #named = new Set<string>();
  /** All that was ever given. */
  readonly #seen = new Map<string, Attributes>();

  /** Counts the connections. Contains 0 for attributes that had connections before, because a meter keeps the last number. */
  count(connections: readonly ConnectionStats[]): [Attributes, number][] {
    const counts = new Map<string, number>();
    for (const { address, state } of connections) {
      const attributes = { ...this.#peer(address), 'fluent_forward.connection.state': state };
      const key = Object.values(attributes).join(' ');
      this.#seen.set(key, attributes);
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
    return [...this.#seen].map(([key, attributes]) => [attributes, counts.get(key) ?? 0]);
  }

  /** Without attributes while a name is looked up. */
  #peer(address: string | undefined): Attributes {
    if (address === undefined) return {};
    if (!this.#named.has(address)) {
      if (this.#named.size >= MAX_NAMED_ADDRESSES) return { 'network.peer.address': OTHER };
      this.#named.add(address);
    }
    return peerOf(address);
  }
}

/** Of `host:port`, or of a path. */
function peerOf(address: string): Attributes {
  const match = /^\[?([^/]+?)\]?:(\d+)$/.exec(address);
  if (match === null) return { 'network.peer.address': address };
  return { 'network.peer.address': match[1], 'network.peer.port': Number(match[2]) };
}
