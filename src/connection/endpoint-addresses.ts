import { isIP } from 'node:net';
import { BoundedWaits, type Clock } from '../clock.ts';
import type { Endpoint, NetworkEndpoint } from '../config/endpoint.ts';
import type { ResolvedAddress, Resolver } from '../config/options.ts';
import type { Diagnostics } from '../diagnostics.ts';
import { messageOf } from '../errors.ts';
import type { Address } from './address.ts';
import { type Lookup, lookupOf } from './lookup.ts';
import { type Target, targetText } from './socket.ts';
import type { Turns } from './turns.ts';

export interface EndpointAddressesOptions {
  readonly endpoint: Endpoint;
  readonly resolver: Resolver | undefined;
  /** The name that certificates are verified against in place of the endpoint's. */
  readonly tlsServerName: string | undefined;
  readonly clock: Clock;
  readonly random: () => number;
  readonly turns: Turns;
  readonly diagnostics: Diagnostics;
}

/** More than a resolver has reason to give. */
const MAX_ADDRESSES = 1_024;
/** Above every priority, which has 16 bits. */
const STANDBY_TIER = 0x1_0000;

/** The addresses of one endpoint: the last good answer of its lookups, and what is known of each. */
export class EndpointAddresses {
  readonly #options: EndpointAddressesOptions;
  readonly #lookUp: Lookup | undefined;
  #known: readonly Address[] = [];
  /** Those that are not in the last answer and are in use, or left out: answers may be parts of the whole. */
  #absent: readonly Address[] = [];
  #lookup: Promise<void> | undefined;
  readonly #waits: BoundedWaits;
  #error: unknown;
  /** The family of a dual-stack name that last worked. */
  #family: number | undefined;

  constructor(options: EndpointAddressesOptions) {
    this.#options = options;
    this.#waits = new BoundedWaits(options.clock);
    const { endpoint, resolver } = options;
    if (endpoint.protocol === 'unix') {
      this.#known = [this.#address({ path: endpoint.path }, 0)];
      return;
    }
    this.#lookUp = lookupOf(endpoint, resolver);
    if (this.#lookUp === undefined) this.#known = this.#parse(endpoint, [{ address: endpoint.host }]);
  }

  get known(): readonly Address[] {
    return this.#known;
  }

  /** Why there is no address, or no fresh one. */
  get problem(): string | undefined {
    return this.#error === undefined
      ? undefined
      : `no address for ${this.#options.endpoint.url}: ${messageOf(this.#error)}`;
  }

  get error(): unknown {
    return this.#error;
  }

  /** Looks the name up again, for at most so long. Never rejects: the last good answer stays in use. */
  async refresh(limitMillis: number): Promise<void> {
    const { endpoint } = this.#options;
    if (this.#lookUp === undefined || endpoint.protocol === 'unix') return;
    this.#lookup ??= this.#refresh(endpoint, this.#lookUp, limitMillis).finally(() => {
      this.#lookup = undefined;
    });
    await this.#lookup;
  }

  /** Waits no longer for a lookup. */
  close(): void {
    this.#waits.close();
  }

  /** An ack came from it. */
  worked(address: Address): void {
    this.#family = address.family;
  }

  /** Of a dual-stack name one family is the pool and the other the fallback: the same receivers stand behind both. */
  ofOneFamily(addresses: readonly Address[]): readonly Address[] {
    const family = this.#family ?? this.#known[0]?.family;
    const pool = addresses.filter((address) => address.family === family);
    return pool.length > 0 ? pool : addresses;
  }

  async #refresh(endpoint: NetworkEndpoint, lookUp: Lookup, limitMillis: number): Promise<void> {
    try {
      const answer = this.#parse(endpoint, await this.#waits.within(limitMillis, lookUp()));
      if (answer.length === 0) throw new Error('the answer was empty');
      const now = this.#options.clock.now();
      this.#absent = [...this.#absent, ...this.#known]
        .filter((address) => !answer.includes(address))
        .filter(({ connections, ejectedUntil }) => connections > 0 || ejectedUntil > now)
        .slice(-MAX_ADDRESSES);
      this.#known = answer;
      this.#error = undefined;
    } catch (error) {
      this.#error = error;
      if (this.#known.length > 0) this.#keepLastAnswer(messageOf(error));
    }
  }

  #keepLastAnswer(reason: string): void {
    const { diagnostics, endpoint } = this.#options;
    diagnostics.warn(
      `lookup ${endpoint.url}`,
      `name lookup for ${endpoint.url} failed (${reason}); going on with the last answer, ${this.#known.length} address(es)`,
    );
  }

  /** Keeps what is known of an address that is in the answer again. */
  #parse(endpoint: NetworkEndpoint, answer: readonly ResolvedAddress[]): Address[] {
    if (!Array.isArray(answer)) throw new TypeError('the resolver gave no array');
    const known = new Map([...this.#absent, ...this.#known].map((address) => [address.text, address]));
    const parsed = new Map<string, Address>();
    for (const resolved of answer.slice(0, MAX_ADDRESSES)) {
      const { address: host, port = endpoint.port, priority = 0, weight = 1 } = resolved;
      if (typeof host !== 'string' || host === '' || !isUint16(port) || port === 0) {
        throw new TypeError(`the resolver gave address ${String(host)}, port ${String(port)}`);
      }
      if (!isUint16(priority) || !isUint16(weight)) {
        throw new TypeError(`the resolver gave priority ${String(priority)}, weight ${String(weight)}`);
      }
      const target = this.#targetOf(endpoint, host, port);
      const text = targetText(target);
      if (parsed.has(text)) continue;
      const address = known.get(text) ?? this.#address(target, isIP(host));
      address.tier = (endpoint.standby ? STANDBY_TIER : 0) + priority;
      address.weight = endpoint.weight * Math.max(1, weight);
      parsed.set(text, address);
    }
    return [...parsed.values()];
  }

  #targetOf({ protocol, host: name }: NetworkEndpoint, host: string, port: number): Target {
    switch (protocol) {
      case 'tcp':
      case 'srv+tcp':
        return { host, port };
      case 'tls':
        return { host, port, tls: { serverName: this.#serverName(name) } };
      case 'srv+tls':
        // Never the record's target: who can forge the answer must not choose the name.
        return { host, port, tls: { serverName: this.#serverName(name.replace(/^_[^.]*\._[^.]*\./, '')) } };
    }
  }

  #serverName(configured: string): string {
    // Certificates hold names without the dot of the root.
    return this.#options.tlsServerName ?? configured.replace(/\.$/, '');
  }

  #address(target: Target, family: number): Address {
    const { endpoint, random, turns } = this.#options;
    return {
      endpoint,
      target,
      text: targetText(target),
      family,
      tier: endpoint.standby ? STANDBY_TIER : 0,
      weight: endpoint.weight,
      // Random, so that a fleet spreads.
      turn: turns.join(random(), endpoint.weight),
      connections: 0,
      failures: 0,
      failedAt: 0,
      ejectedUntil: 0,
      singleAckCloses: 0,
    };
  }
}

function isUint16(value: unknown): value is number {
  return Number.isInteger(value) && Number(value) >= 0 && Number(value) <= 0xffff;
}
