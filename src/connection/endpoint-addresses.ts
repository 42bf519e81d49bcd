import { isIP } from 'node:net';
import { BoundedWaits } from '../bounded-waits.ts';
import type { Clock } from '../clock.ts';
import type { Endpoint, NetworkEndpoint } from '../config/endpoint.ts';
import type { Resolver } from '../config/options.ts';
import type { Diagnostics } from '../diagnostics.ts';
import { messageOf } from '../errors.ts';
import { printableValue } from '../printable.ts';
import type { Address } from './address.ts';
import { type FoundAddress, type Lookup, lookupOf } from './lookup.ts';
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
  /** Whether there are other endpoints to go on with. */
  readonly isOneOfSeveral: boolean;
}

/** More than a resolver has reason to give. */
const MAX_ADDRESSES = 1_024;

/** The addresses of one endpoint: the last good answer of its lookups, and what is known of each. */
export class EndpointAddresses {
  readonly #options: EndpointAddressesOptions;
  readonly #lookUp: Lookup | undefined;
  #known: readonly Address[] = [];
  /** Those that are not in the last answer and are in use, or left out: answers may be parts of the whole. */
  #absent: readonly Address[] = [];
  #lookup: Promise<void> | undefined;
  #lookups = 0;
  /** The number of the lookup whose answer is in use. */
  #answered = 0;
  readonly #waits: BoundedWaits;
  #error: unknown;
  /** By dual-stack name, the family that last worked. */
  readonly #families = new Map<string, number>();

  constructor(options: EndpointAddressesOptions) {
    this.#options = options;
    this.#waits = new BoundedWaits(options.clock);
    const { endpoint } = options;
    if (endpoint.protocol === 'unix') {
      this.#known = [this.#address({ path: endpoint.path }, 0, endpoint.path)];
      return;
    }
    this.#lookUp = lookupOf(endpoint, { ...options, waits: this.#waits });
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
  worked({ name, family }: Address): void {
    this.#families.set(name, family);
  }

  /**
   * Those of its healthy addresses to dial: of the lowest priority, and of a dual-stack name those of one
   * family, while the other is the fallback, as the same receivers stand behind both.
   */
  preferred(healthy: readonly Address[]): readonly Address[] {
    const priority = Math.min(...healthy.map((address) => address.priority));
    const first = healthy.filter((address) => address.priority === priority);
    return first.filter(({ name, family }) => {
      const wanted = this.#families.get(name) ?? this.#known.find((address) => address.name === name)?.family;
      return family === wanted || !first.some((other) => other.name === name && other.family === wanted);
    });
  }

  async #refresh(endpoint: NetworkEndpoint, lookUp: Lookup, limitMillis: number): Promise<void> {
    const lookup = ++this.#lookups;
    try {
      const taken = lookUp(limitMillis).then((answer) => this.#take(lookup, endpoint, answer));
      await this.#waits.within(limitMillis, taken);
    } catch (error) {
      this.#error = error;
      this.#tell(messageOf(error));
    }
  }

  /** An answer that comes after its limit counts too, unless that of a later lookup has come. */
  #take(lookup: number, endpoint: NetworkEndpoint, found: readonly FoundAddress[]): void {
    if (lookup < this.#answered) return;
    const answer = this.#parse(endpoint, found);
    if (answer.length === 0) throw new Error('the answer was empty');
    this.#answered = lookup;
    const now = this.#options.clock.now();
    this.#absent = [...this.#absent, ...this.#known]
      .filter((address) => !answer.includes(address))
      .filter(({ connections, ejectedUntil }) => connections > 0 || ejectedUntil > now)
      .slice(-MAX_ADDRESSES);
    this.#known = answer;
    this.#error = undefined;
    this.#forgetFamilies();
  }

  /** Of names that are gone: an SRV answer has other names with each new pod. */
  #forgetFamilies(): void {
    const names = new Set([...this.#absent, ...this.#known].map(({ name }) => name));
    for (const name of this.#families.keys()) if (!names.has(name)) this.#families.delete(name);
  }

  /** With no other endpoint and no older answer the dial fails, which tells it. */
  #tell(reason: string): void {
    const { diagnostics, endpoint, isOneOfSeveral } = this.#options;
    const addresses = this.#known.length;
    if (addresses === 0 && !isOneOfSeveral) return;
    const next = addresses > 0 ? `the last answer, ${addresses} address(es)` : 'the other endpoints';
    diagnostics.warn(
      `lookup ${endpoint.url}`,
      `name lookup for ${endpoint.url} failed (${reason}); going on with ${next}`,
    );
  }

  /**
   * Keeps what is known of an address that is in the answer again. What is no address is left out with a warning.
   * @throws TypeError when nothing is left.
   */
  #parse(endpoint: NetworkEndpoint, answer: readonly FoundAddress[]): Address[] {
    if (!Array.isArray(answer)) throw new TypeError('the resolver gave no array');
    const known = new Map([...this.#absent, ...this.#known].map((address) => [address.text, address]));
    const parsed = new Map<string, Address>();
    const found = answer.slice(0, MAX_ADDRESSES).map((each) => complete(each, endpoint));
    const usable = found.filter((each) => problemOf(each) === undefined);
    const problems = found.flatMap((each) => problemOf(each) ?? []);
    if (problems[0] !== undefined) {
      if (usable.length === 0) throw new TypeError(`the resolver gave ${problems[0]}`);
      this.#warnOfLeftOut(problems);
    }
    for (const { address: host, port, priority, weight, target: name } of usable) {
      const target = this.#targetOf(endpoint, host, port);
      const text = targetText(target);
      if (parsed.has(text)) continue;
      const address = known.get(text) ?? this.#address(target, isIP(host), name);
      address.priority = priority;
      address.weight = endpoint.weight * Math.max(1, weight);
      parsed.set(text, address);
    }
    return [...parsed.values()];
  }

  #warnOfLeftOut(problems: readonly string[]): void {
    const { diagnostics, endpoint } = this.#options;
    diagnostics.warn(
      `answer for ${endpoint.url}`,
      `the resolver's answer for ${endpoint.url} has ${problems.length} unusable address(es), which are left out; the first is ${problems[0]}`,
    );
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

  #address(target: Target, family: number, name: string): Address {
    const { endpoint, random, turns } = this.#options;
    return {
      endpoint,
      target,
      text: targetText(target),
      name,
      family,
      priority: 0,
      weight: endpoint.weight,
      // Random, so that a fleet spreads.
      turn: turns.join(random(), endpoint.weight),
      connections: 0,
      failures: 0,
      failedAt: 0,
      ejectedUntil: 0,
    };
  }
}

function complete(found: FoundAddress | undefined, endpoint: NetworkEndpoint): Required<FoundAddress> {
  const { address = '', port = endpoint.port, priority = 0, weight = 1, target = endpoint.host } = found ?? {};
  return { address, port, priority, weight, target };
}

/** What is wrong with an address; `undefined` for a good one. */
function problemOf({ address, port, priority, weight }: Required<FoundAddress>): string | undefined {
  // The system would look a name up outside of the limits for lookups.
  if (typeof address !== 'string' || isIP(address) === 0 || !isUint16(port) || port === 0) {
    return `address ${printableValue(address)}, port ${printableValue(port)}`;
  }
  if (!isUint16(priority) || !isUint16(weight))
    return `priority ${printableValue(priority)}, weight ${printableValue(weight)}`;
  return undefined;
}

function isUint16(value: unknown): value is number {
  return Number.isInteger(value) && Number(value) >= 0 && Number(value) <= 0xffff;
}
