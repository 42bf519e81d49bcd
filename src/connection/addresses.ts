import type { Clock } from '../clock.ts';
import { type Endpoint, urlsOf } from '../config/endpoint.ts';
import type { Resolver } from '../config/options.ts';
import type { Diagnostics } from '../diagnostics.ts';
import { FluentForwardConnectionError } from '../errors.ts';
import type { AddressStats } from '../stats.ts';
import type { Address } from './address.ts';
import { backoffDelay } from './backoff.ts';
import { EndpointAddresses } from './endpoint-addresses.ts';
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
        new EndpointAddresses({ ...options, endpoint, turns: this.#turns }),
      ]),
    );
  }

  /** Every address that is known; one that is behind several endpoints belongs to the first. */
  get all(): readonly Address[] {
    const distinct = new Map<string, Address>();
    for (const { known } of this.#sources.values()) {
      for (const address of known) if (!distinct.has(address.text)) distinct.set(address.text, address);
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
   * of the same tier has fewer for its weight, among equals not `avoid`, else whose turn it is.
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

  /** Whether a dial now would go to an address that is preferred to this one. */
  mayReturn({ tier }: Address): boolean {
    return this.all.some((address) => address.tier < tier && this.#isHealthy(address));
  }

  /** After how long to ask {@link mayReturn}; `undefined` where nothing is preferred to this address. */
  returnMillis({ tier }: Address): number | undefined {
    const preferred = this.all.filter((address) => address.tier < tier);
    if (preferred.length === 0) return undefined;
    const at = Math.min(...preferred.map(({ ejectedUntil }) => ejectedUntil));
    return Math.max(RETURN_MILLIS, at - this.#options.clock.now());
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
    const tier = Math.min(...healthy.map((address) => address.tier));
    const candidates = this.#ofOneFamilyEach(healthy.filter((address) => address.tier === tier));
    // The connection that is replaced is as good as gone: N connections to N addresses stay spread.
    const load = ({ text, connections, weight }: Address) =>
      (isReplaced && text === avoid?.text ? connections - 1 : connections) / weight;
    const least = Math.min(...candidates.map(load));
    const choice = candidates.filter((address) => load(address) === least);
    const others = choice.filter(({ text }) => text !== avoid?.text);
    return leastBy(others.length > 0 ? others : choice, ({ turn }) => turn);
  }

  #ofOneFamilyEach(addresses: readonly Address[]): readonly Address[] {
    return [...this.#sources].flatMap(([endpoint, source]) =>
      source.ofOneFamily(addresses.filter((address) => address.endpoint === endpoint)),
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

function leastBy<T>(items: readonly T[], key: (item: T) => number): T | undefined {
  let least: T | undefined;
  for (const item of items) if (least === undefined || key(item) < key(least)) least = item;
  return least;
}
