import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import type { Clock } from '../clock.ts';
import type { Endpoint } from '../config/endpoint.ts';
import type { ResolvedAddress, Resolver } from '../config/options.ts';
import type { Diagnostics } from '../diagnostics.ts';
import { FluentForwardConnectionError, messageOf } from '../errors.ts';
import { backoffDelay } from './backoff.ts';
import { type Target, targetText } from './socket.ts';

/** One place that a receiver listens at, and what this process knows of it. */
export interface Address {
  readonly target: Target;
  readonly text: string;
  /** 4 or 6; 0 for a path or a name. */
  readonly family: number;
  /** Its place on the ring that dials go around; random, so that a fleet spreads. */
  readonly rank: number;
  /** Connections of ours to it, those being dialled included. */
  connections: number;
  /** Failures since the last ack. */
  failures: number;
  failedAt: number;
  ejectedUntil: number;
  /** Connections in a row that the receiver closed after a single ack. */
  singleAckCloses: number;
}

export interface AddressesOptions {
  readonly endpoint: Endpoint;
  readonly resolver: Resolver | undefined;
  readonly connectTimeoutMillis: number;
  readonly clock: Clock;
  readonly random: () => number;
  readonly diagnostics: Diagnostics;
}

const EJECTION = { firstMillis: 1_000, capMillis: 60_000 };
/** More than a resolver has reason to give. */
const MAX_ADDRESSES = 1_024;

/** The addresses behind an endpoint: looked up at every dial, chosen by health and in turn. */
export class Addresses {
  readonly #options: AddressesOptions;
  readonly #resolve: (() => Promise<readonly ResolvedAddress[]>) | undefined;
  #known: readonly Address[] = [];
  /** Those that are not in the last answer and are in use, or left out: answers may be parts of the whole. */
  #absent: readonly Address[] = [];
  #lookup: Promise<void> | undefined;
  #lookupError: unknown;
  /** The family of a dual-stack name that last worked. */
  #family: number | undefined;
  /** The rank that the last dial went to. */
  #cursor: number;

  constructor(options: AddressesOptions) {
    this.#options = options;
    this.#cursor = options.random();
    const { endpoint, resolver } = options;
    if (endpoint.protocol === 'unix') {
      this.#known = [this.#address({ path: endpoint.path }, 0)];
    } else if (resolver !== undefined) {
      this.#resolve = async () => resolver(endpoint);
    } else if (isIP(endpoint.host) !== 0) {
      this.#known = [this.#address({ host: endpoint.host, port: endpoint.port }, isIP(endpoint.host))];
    } else {
      this.#resolve = oneAtATime(() => lookup(endpoint.host, { all: true, verbatim: true }));
    }
  }

  /**
   * Looks the name up and chooses where to dial: not `avoid` while another address is healthy, not
   * where there are connections already while another has fewer, else the next on the ring.
   * Whoever gets an address gives it back by {@link release}.
   */
  async acquire(avoid: Address | undefined): Promise<Address> {
    if (this.#resolve !== undefined) {
      this.#lookup ??= this.#refresh(this.#resolve);
      await this.#lookup;
    }
    const address = this.#choose(avoid);
    if (address === undefined) {
      throw new FluentForwardConnectionError(
        'FLUENT_FORWARD_LOOKUP_FAILED',
        `no address for ${this.#options.endpoint.url}: ${messageOf(this.#lookupError)}`,
        this.#lookupError,
      );
    }
    address.connections++;
    this.#cursor = address.rank;
    return address;
  }

  release(address: Address): void {
    address.connections--;
  }

  /** An ack came from it. */
  succeeded(address: Address): void {
    address.failures = 0;
    address.ejectedUntil = 0;
    this.#family = address.family;
  }

  /** A dial to it or a chunk on it failed: it is left out for a while, longer each time. */
  failed(address: Address): void {
    const now = this.#options.clock.now();
    address.failures++;
    address.failedAt = now;
    address.ejectedUntil = now + backoffDelay(address.failures, this.#options.random, EJECTION);
  }

  /** How many dials in a row may fail before there is nothing new to try. */
  get count(): number {
    return this.#known.length;
  }

  /** Whether a dial now would go to an address that is not ejected; `other` is left out of account. */
  hasHealthy(other?: Address): boolean {
    return this.#known.some((address) => address.text !== other?.text && this.#isHealthy(address));
  }

  /** One that failed is tried by one connection, and takes no others before its first ack. */
  #isHealthy(address: Address): boolean {
    if (address.failures === 0) return true;
    return address.ejectedUntil <= this.#options.clock.now() && address.connections === 0;
  }

  #choose(avoid: Address | undefined): Address | undefined {
    const healthy = this.#known.filter((address) => this.#isHealthy(address));
    if (healthy.length === 0) return leastBy(this.#known, (address) => address.failedAt);
    const family = this.#family ?? this.#known[0]?.family;
    const pool = healthy.filter((address) => address.family === family);
    const candidates = pool.length > 0 ? pool : healthy;
    const others = candidates.filter(({ text }) => text !== avoid?.text);
    const choice = others.length > 0 ? others : candidates;
    const fewest = Math.min(...choice.map((address) => address.connections));
    return leastBy(
      choice.filter((address) => address.connections === fewest),
      (address) => this.#ringDistance(address),
    );
  }

  #ringDistance(address: Address): number {
    const distance = address.rank - this.#cursor;
    return distance > 0 ? distance : distance + 1;
  }

  /** Waits for a fresh answer, but not for ever; where there is an older one, half of the time is for the connect. */
  async #refresh(resolve: () => Promise<readonly ResolvedAddress[]>): Promise<void> {
    const { connectTimeoutMillis } = this.#options;
    const limitMillis = Math.ceil(this.#known.length > 0 ? connectTimeoutMillis / 2 : connectTimeoutMillis);
    try {
      const answer = this.#parse(await this.#within(limitMillis, resolve()));
      if (answer.length === 0) throw new Error('the answer was empty');
      const now = this.#options.clock.now();
      this.#absent = [...this.#absent, ...this.#known]
        .filter((address) => !answer.includes(address))
        .filter(({ connections, ejectedUntil }) => connections > 0 || ejectedUntil > now)
        .slice(-MAX_ADDRESSES);
      this.#known = answer;
      this.#lookupError = undefined;
    } catch (error) {
      this.#lookupError = error;
      if (this.#known.length > 0) this.#keepLastAnswer(messageOf(error));
    } finally {
      this.#lookup = undefined;
    }
  }

  #within<T>(limitMillis: number, promise: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const late = new Error(`no answer within ${limitMillis} ms`);
      const limit = this.#options.clock.after(limitMillis, () => reject(late));
      promise.then(resolve, reject).finally(() => limit.cancel());
    });
  }

  #keepLastAnswer(reason: string): void {
    const { diagnostics, endpoint } = this.#options;
    diagnostics.warn(
      'lookup',
      `name lookup for ${endpoint.url} failed (${reason}); going on with the last answer, ${this.#known.length} address(es)`,
    );
  }

  /** Keeps what is known of an address that is in the answer again. */
  #parse(answer: readonly ResolvedAddress[]): Address[] {
    const { endpoint } = this.#options;
    if (!Array.isArray(answer)) throw new TypeError('the resolver gave no array');
    const known = new Map([...this.#absent, ...this.#known].map((address) => [address.text, address]));
    const parsed = new Map<string, Address>();
    for (const { address, port = endpoint.protocol === 'tcp' ? endpoint.port : 0 } of answer.slice(0, MAX_ADDRESSES)) {
      if (typeof address !== 'string' || address === '' || !Number.isInteger(port) || port < 1 || port > 65_535) {
        throw new TypeError(`the resolver gave address ${String(address)}, port ${String(port)}`);
      }
      const target = { host: address, port };
      const text = targetText(target);
      if (!parsed.has(text)) parsed.set(text, known.get(text) ?? this.#address(target, isIP(address)));
    }
    return [...parsed.values()];
  }

  #address(target: Target, family: number): Address {
    return {
      target,
      text: targetText(target),
      family,
      rank: this.#options.random(),
      connections: 0,
      failures: 0,
      failedAt: 0,
      ejectedUntil: 0,
      singleAckCloses: 0,
    };
  }
}

function leastBy<T>(items: readonly T[], key: (item: T) => number): T | undefined {
  let least: T | undefined;
  for (const item of items) if (least === undefined || key(item) < key(least)) least = item;
  return least;
}

/** Lookups by the system cannot be cancelled, and several that hang would fill the process's thread pool. */
function oneAtATime<T>(look: () => Promise<T>): () => Promise<T> {
  let running: Promise<T> | undefined;
  return () => {
    running ??= look().finally(() => {
      running = undefined;
    });
    return running;
  };
}
