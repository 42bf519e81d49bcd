import type { Clock } from '../clock.ts';
import { type Endpoint, urlsOf } from '../config/endpoint.ts';
import type { Resolver } from '../config/options.ts';
import type { Diagnostics } from '../diagnostics.ts';
import { FluentForwardConnectionError } from '../errors.ts';
import type { AddressStats } from '../stats.ts';
import type { Address } from './address.ts';
import { backoffDelay } from './backoff.ts';
import { EndpointAddresses } from './endpoint-addresses.ts';
import { serverNameOf } from './socket.ts';
import { Turns } from './turns.ts';

export interface AddressesOptions {
  readonly endpoints: readonly Endpoint[];
  readonly resolver: Resolver | undefined;
  readonly tlsServerName: string | undefined;
  readonly connectTimeoutMillis: number;
  readonly clock: Clock;
  readonly random: () => number;
  readonly diagnostics: Diagnostics;
}

const EJECTION = { firstMillis: 1_000, capMillis: 60_000 };
/** The least time between two looks for a way back to preferred addresses. */
const RETURN_MILLIS = 1_000;
/** The same where that takes a lookup, of a name that had no addresses. */
const RETURN_LOOKUP_MILLIS = 30_000;

/** The addresses behind all endpoints: looked up at every dial, chosen by health, weight and in turn. */
export class Addresses {
  readonly #options: AddressesOptions;
  readonly #turns = new Turns();
  readonly #sources: ReadonlyMap<Endpoint, EndpointAddresses>;

  constructor(options: AddressesOptions) {
    this.#options = options;
    this.#sources = new Map(
      options.endpoints.map((endpoint) => [
        endpoint,
        new EndpointAddresses({
          ...options,
          endpoint,
          turns: this.#turns,
          isOneOfSeveral: options.endpoints.length > 1,
        }),
      ]),
    );
  }

  /** Every address that is known; one that is behind several endpoints belongs to the first that is no standby, else the first. */
  get all(): readonly Address[] {
    const distinct = new Map<string, Address>();
    for (const { known } of this.#sources.values()) {
      for (const address of known) {
        const key = keyOf(address);
        const other = distinct.get(key);
        if (other === undefined || (other.endpoint.standby && !address.endpoint.standby)) distinct.set(key, address);
      }
    }
    return [...distinct.values()];
  }

  get stats(): AddressStats[] {
    const now = this.#options.clock.now();
    return this.all.map(({ endpoint, text, weight, failures, ejectedUntil, connections }) => ({
      endpoint: endpoint.url,
      address: text,
      isStandby: endpoint.standby,
      weight,
      health: failures === 0 ? 'healthy' : ejectedUntil > now ? 'ejected' : 'unproven',
      failures,
      ejectedForMillis: Math.max(0, ejectedUntil - now),
      connections,
    }));
  }

  /**
   * Looks the names up and chooses where to dial: not where there are connections already while another
   * that is as good has fewer for its weight, among equals not `avoid`, else whose turn it is.
   * `isReplaced`: the new connection takes the place of one to `avoid`. Whoever gets an address gives
   * it back by {@link release}.
   */
  async acquire(avoid: Address | undefined, isReplaced: boolean = false): Promise<Address> {
    const limitMillis = this.#lookupLimitMillis();
    await Promise.all([...this.#sources.values()].map((source) => source.refresh(limitMillis)));
    const address = this.#choose(avoid, isReplaced);
    if (address === undefined) throw this.#noAddress();
    address.connections++;
    address.turn = this.#turns.take(address.turn, address.weight);
    return address;
  }

  release(address: Address): void {
    address.connections--;
  }

  /** Leaves no timer behind; a lookup that is under way cannot be ended. */
  close(): void {
    for (const source of this.#sources.values()) source.close();
  }

  /** An ack came from it. */
  succeeded(address: Address): void {
    address.failures = 0;
    address.ejectedUntil = 0;
    this.#sources.get(address.endpoint)?.worked(address);
  }

  /**
   * A dial to it or a chunk on it failed: it is left out for a while, longer each time. Returns whether
   * that is news: connections that were there when it failed before fail with it.
   */
  failed(address: Address, dialledAt: number): boolean {
    if (address.failures > 0 && dialledAt <= address.failedAt) return false;
    const now = this.#options.clock.now();
    address.failures++;
    address.failedAt = now;
    address.ejectedUntil = now + backoffDelay(address.failures, this.#options.random, EJECTION);
    return true;
  }

  /** Whether a dial now would go to an address that is not ejected; `other` is left out of account. */
  hasHealthy(other?: Address): boolean {
    return this.all.some((address) => address.text !== other?.text && this.#isHealthy(address));
  }

  /** Whether there is an address that has not failed since its last ack: any number of connections may dial it. */
  get hasTrusted(): boolean {
    return this.all.some(({ failures }) => failures === 0);
  }

  /**
   * Whether a dial now would go to an address that is preferred to this one. Names that may stand for
   * such ones and have no addresses are looked up meanwhile.
   */
  mayReturn(address: Address): boolean {
    const limitMillis = this.#lookupLimitMillis();
    for (const source of this.#unresolved(address)) void source.refresh(limitMillis);
    return this.all.some((other) => isPreferred(other, address) && this.#isHealthy(other));
  }

  /** After how long to ask {@link mayReturn}; `undefined` where nothing is preferred to this address. */
  returnMillis(address: Address): number | undefined {
    const now = this.#options.clock.now();
    const waits = this.all
      .filter((other) => isPreferred(other, address))
      .map(({ ejectedUntil }) => Math.max(RETURN_MILLIS, ejectedUntil - now));
    if (this.#unresolved(address).length > 0) waits.push(RETURN_LOOKUP_MILLIS);
    return waits.length === 0 ? undefined : Math.min(...waits);
  }

  /** The endpoints without addresses that are preferred to a standby. */
  #unresolved({ endpoint: { standby } }: Address): readonly EndpointAddresses[] {
    if (!standby) return [];
    return [...this.#sources].flatMap(([endpoint, source]) =>
      endpoint.standby || source.known.length > 0 ? [] : source,
    );
  }

  /** Where the answers of several are waited for, or there is an older one, half of the time is for the connect. */
  #lookupLimitMillis(): number {
    const { connectTimeoutMillis } = this.#options;
    const isWhole = this.#sources.size === 1 && this.all.length === 0;
    return Math.ceil(isWhole ? connectTimeoutMillis : connectTimeoutMillis / 2);
  }

  /** One that failed is tried by one connection, and takes no others before its first ack. */
  #isHealthy(address: Address): boolean {
    if (address.failures === 0) return true;
    return address.ejectedUntil <= this.#options.clock.now() && address.connections === 0;
  }

  #choose(avoid: Address | undefined, isReplaced: boolean): Address | undefined {
    const healthy = this.all.filter((address) => this.#isHealthy(address));
    if (healthy.length === 0) return leastBy(this.all, ({ failedAt }) => failedAt);
    const candidates = this.#preferred(healthy);
    // The connection that is replaced is as good as gone: N connections to N addresses stay spread.
    const load = ({ text, connections, weight }: Address) =>
      (isReplaced && text === avoid?.text ? connections - 1 : connections) / weight;
    const least = Math.min(...candidates.map(load));
    const choice = candidates.filter((address) => load(address) === least);
    const others = choice.filter(({ text }) => text !== avoid?.text);
    return leastBy(others.length > 0 ? others : choice, ({ turn }) => turn);
  }

  /** No standbys while another is healthy, and of each endpoint those that it prefers. */
  #preferred(healthy: readonly Address[]): readonly Address[] {
    const primaries = healthy.filter(({ endpoint }) => !endpoint.standby);
    const usable = primaries.length > 0 ? primaries : healthy;
    return [...this.#sources].flatMap(([endpoint, source]) =>
      source.preferred(usable.filter((address) => address.endpoint === endpoint)),
    );
  }

  #noAddress(): FluentForwardConnectionError {
    const sources = [...this.#sources.values()];
    const problems = sources.flatMap(({ problem }) => problem ?? []);
    const reason = problems.join('; ') || `no address for ${urlsOf(this.#options.endpoints)}`;
    const cause = sources.find(({ error }) => error !== undefined)?.error;
    return new FluentForwardConnectionError('FLUENT_FORWARD_LOOKUP_FAILED', reason, cause);
  }
}

/** The same place in TLS and without is two. */
function keyOf({ target, text }: Address): string {
  return serverNameOf(target) === undefined ? text : `${text} in TLS`;
}

/** Whether one is to be left for the other as soon as that is healthy. */
function isPreferred(one: Address, other: Address): boolean {
  if (one.endpoint.standby !== other.endpoint.standby) return other.endpoint.standby;
  return one.endpoint === other.endpoint && one.priority < other.priority;
}

function leastBy<T>(items: readonly T[], key: (item: T) => number): T | undefined {
  let least: T | undefined;
  for (const item of items) if (least === undefined || key(item) < key(least)) least = item;
  return least;
}
