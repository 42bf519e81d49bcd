import type { Clock } from '../clock.ts';
import { type Endpoint, urlsOf } from '../config/endpoint.ts';
import type { Resolver } from '../config/options.ts';
import type { Diagnostics } from '../diagnostics.ts';
import { FluentForwardConnectionError } from '../errors.ts';
import type { AddressStats } from '../stats.ts';
import type { Address } from './address.ts';
import { EndpointAddresses } from './endpoint-addresses.ts';
import type { FoundAddress } from './lookup.ts';
import { StrideScheduler } from './stride-scheduler.ts';
import { serverNameOf } from './target.ts';

export interface AddressesOptions {
  readonly endpoints: readonly Endpoint[];
  readonly resolver: Resolver | undefined;
  readonly tlsServerName: string | undefined;
  readonly connectTimeoutMillis: number;
  readonly clock: Clock;
  readonly random: () => number;
  readonly diagnostics: Diagnostics;
}

/** The shortest time between two checks whether a connection can return to a preferred address. */
const RETURN_MILLIS = 1_000;
/** The same if the check needs a lookup, because a name had no addresses. */
const RETURN_LOOKUP_MILLIS = 30_000;

/** The addresses of all endpoints. They are looked up at every dial, and chosen by health, weight and schedule. */
export class Addresses {
  readonly #options: AddressesOptions;
  readonly #schedule = new StrideScheduler();
  readonly #sources: ReadonlyMap<Endpoint, EndpointAddresses>;

  constructor(options: AddressesOptions) {
    this.#options = options;
    this.#sources = new Map(
      options.endpoints.map((endpoint) => [
        endpoint,
        new EndpointAddresses({
          ...options,
          endpoint,
          schedule: this.#schedule,
          isOneOfSeveral: options.endpoints.length > 1,
        }),
      ]),
    );
  }

  /**
   * Every known address. One that several endpoints have belongs to the first of them that is not a standby, or to the
   * first if all are.
   */
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
    return this.all.map(({ endpoint, text, weight, health, connections }) => ({
      endpoint: endpoint.url,
      address: text,
      isStandby: endpoint.standby,
      weight,
      health: health.state,
      failures: health.failures,
      ejectedForMillis: health.ejectedForMillis,
      connections,
    }));
  }

  /** The last answers of the lookups, by the URL of the endpoint. Endpoints without one are missing. */
  get answers(): ReadonlyMap<string, readonly FoundAddress[]> {
    return new Map(
      [...this.#sources].flatMap(([{ url }, { answer }]) => (answer === undefined ? [] : [[url, answer]])),
    );
  }

  /**
   * Looks the names up and chooses an address to dial: of the preferred ones, those with the fewest connections for
   * their weight; of these not `avoid`, if there is another; of these the next in the schedule. `isReplaced`: the new
   * connection will replace the one to `avoid`, so that one does not count. The caller must call {@link release}.
   */
  async acquire(avoid: Address | undefined, isReplaced: boolean = false): Promise<Address> {
    const limitMillis = this.#lookupLimitMillis();
    await Promise.all([...this.#sources.values()].map((source) => source.refresh(limitMillis)));
    const address = this.#choose(avoid, isReplaced);
    if (address === undefined) throw this.#noAddress();
    address.connections++;
    address.pass = this.#schedule.use(address.pass, address.weight);
    return address;
  }

  release(address: Address): void {
    address.connections--;
  }

  /** Cancels the time limits of lookups. A lookup that is running cannot be cancelled. */
  close(): void {
    for (const source of this.#sources.values()) source.close();
  }

  /** An ack came from the address. */
  succeeded(address: Address): void {
    address.health.succeeded();
    this.#sources.get(address.endpoint)?.worked(address);
  }

  /** Whether a dial now would go to an address that is not ejected; `other` does not count. */
  hasHealthy(other?: Address): boolean {
    return this.all.some((address) => address.text !== other?.text && canDial(address));
  }

  /** Whether any number of connections may dial an address: it has not failed since its last ack. */
  get hasTrusted(): boolean {
    return this.all.some(({ health }) => health.state === 'healthy');
  }

  /**
   * Whether a dial now would go to an address that is preferred to this one. If preferred endpoints have no known
   * addresses, their names are looked up meanwhile.
   */
  mayReturn(address: Address): boolean {
    const limitMillis = this.#lookupLimitMillis();
    for (const source of this.#unresolved(address)) void source.refresh(limitMillis);
    return this.all.some((other) => isPreferred(other, address) && canDial(other));
  }

  /** After how many milliseconds to ask {@link mayReturn}; `undefined` if nothing is preferred to this address. */
  returnMillis(address: Address): number | undefined {
    const waits = this.all
      .filter((other) => isPreferred(other, address))
      .map(({ health }) => Math.max(RETURN_MILLIS, health.ejectedForMillis));
    if (this.#unresolved(address).length > 0) waits.push(RETURN_LOOKUP_MILLIS);
    return waits.length === 0 ? undefined : Math.min(...waits);
  }

  /** The endpoints that are preferred to a standby and have no known addresses. */
  #unresolved({ endpoint: { standby } }: Address): readonly EndpointAddresses[] {
    if (!standby) return [];
    return [...this.#sources].flatMap(([endpoint, source]) =>
      endpoint.standby || source.known.length > 0 ? [] : source,
    );
  }

  /** If there are several names or an older answer, half of the dial's time is kept for the connect. */
  #lookupLimitMillis(): number {
    const { connectTimeoutMillis } = this.#options;
    const isWhole = this.#sources.size === 1 && this.all.length === 0;
    return Math.ceil(isWhole ? connectTimeoutMillis : connectTimeoutMillis / 2);
  }

  #choose(avoid: Address | undefined, isReplaced: boolean): Address | undefined {
    const healthy = this.all.filter(canDial);
    if (healthy.length === 0) return leastBy(this.all, ({ health }) => health.failedAt);
    const candidates = this.#preferred(healthy);
    // The connection that will be replaced does not count. So N connections to N addresses stay spread.
    const load = ({ text, connections, weight }: Address) =>
      (isReplaced && text === avoid?.text ? connections - 1 : connections) / weight;
    const least = Math.min(...candidates.map(load));
    const choice = candidates.filter((address) => load(address) === least);
    const others = choice.filter(({ text }) => text !== avoid?.text);
    return leastBy(others.length > 0 ? others : choice, ({ pass }) => pass);
  }

  /** No standby while another address is healthy, and of each endpoint the addresses that it prefers. */
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

/** The same address with and without TLS counts as two. */
function keyOf({ target, text }: Address): string {
  return serverNameOf(target) === undefined ? text : `${text} in TLS`;
}

/** An unproven address is tried by one connection, and takes no other before its first ack. */
function canDial({ health, connections }: Address): boolean {
  return health.state === 'healthy' || (health.state === 'unproven' && connections === 0);
}

/** Whether a connection should leave `other` for `one` as soon as `one` is healthy. */
function isPreferred(one: Address, other: Address): boolean {
  if (one.endpoint.standby !== other.endpoint.standby) return other.endpoint.standby;
  return one.endpoint === other.endpoint && one.priority < other.priority;
}

function leastBy<T>(items: readonly T[], key: (item: T) => number): T | undefined {
  let least: T | undefined;
  for (const item of items) if (least === undefined || key(item) < key(least)) least = item;
  return least;
}
