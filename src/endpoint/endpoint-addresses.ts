import { isIP } from 'node:net';
import { BoundedWaits } from '../bounded-waits.ts';
import type { Clock } from '../clock.ts';
import type { Endpoint, NetworkEndpoint } from '../config/endpoint.ts';
import type { Resolver } from '../config/options.ts';
import type { Diagnostics } from '../diagnostics.ts';
import { messageOf } from '../errors.ts';
import { printableValue } from '../printable.ts';
import type { Address } from './address.ts';
import { Health } from './health.ts';
import { type FoundAddress, type Lookup, lookupOf } from './lookup.ts';
import type { StrideScheduler } from './stride-scheduler.ts';
import { type Target, targetText } from './target.ts';

export interface EndpointAddressesOptions {
  readonly endpoint: Endpoint;
  readonly resolver: Resolver | undefined;
  /** The name that the certificate has to contain; by default that of the endpoint. */
  readonly tlsServerName: string | undefined;
  readonly clock: Clock;
  readonly random: () => number;
  /** Schedules the dials to all addresses, those of other endpoints included. */
  readonly schedule: StrideScheduler;
  readonly diagnostics: Diagnostics;
  /** Whether there are other endpoints. */
  readonly isOneOfSeveral: boolean;
}

/** More addresses than a resolver has reason to return. */
const MAX_ADDRESSES = 1_024;

/** The addresses of one endpoint: the last good answer of its lookups. */
export class EndpointAddresses {
  readonly #options: EndpointAddressesOptions;
  readonly #lookUp: Lookup | undefined;
  #known: readonly Address[] = [];
  /**
   * Addresses that the last answer lacks and that are still connected or ejected. DNS may return a different subset each
   * time.
   */
  #absent: readonly Address[] = [];
  #lookup: Promise<void> | undefined;
  #lookups = 0;
  /** The number of the lookup whose answer is known. */
  #answered = 0;
  readonly #waits: BoundedWaits;
  #error: unknown;
  /** The family that worked last, by dual-stack name. */
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

  /**
   * The last answer, without addresses that are ejected if there are others. Undefined if there was none yet, or nothing
   * is looked up.
   */
  get answer(): readonly FoundAddress[] | undefined {
    if (this.#lookUp === undefined || this.#known.length === 0) return undefined;
    const healthy = this.#known.filter(({ health }) => health.state === 'healthy');
    return (healthy.length > 0 ? healthy : this.#known).map((address) => foundOf(address));
  }

  /** Why the last lookup failed, as a message shows it; `undefined` if it succeeded. */
  get problem(): string | undefined {
    return this.#error === undefined
      ? undefined
      : `no address for ${this.#options.endpoint.url}: ${messageOf(this.#error)}`;
  }

  get error(): unknown {
    return this.#error;
  }

  /** Looks the name up again, for at most `limitMillis`. Never rejects: if it fails, the last good answer stays in use. */
  async refresh(limitMillis: number): Promise<void> {
    const { endpoint } = this.#options;
    if (this.#lookUp === undefined || endpoint.protocol === 'unix') return;
    this.#lookup ??= this.#refresh(endpoint, this.#lookUp, limitMillis).finally(() => {
      this.#lookup = undefined;
    });
    await this.#lookup;
  }

  /** Cancels the time limit of a lookup. */
  close(): void {
    this.#waits.close();
  }

  /** An ack came from the address. */
  worked({ name, family }: Address): void {
    this.#families.set(name, family);
  }

  /**
   * Returns which of its healthy addresses to dial: those of the lowest priority, and of a dual-stack name those of one
   * family. The other family is the fallback, because both lead to the same receivers.
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
      this.#warnOfFailure(messageOf(error));
    }
  }

  /** Uses an answer. One that comes after its time limit counts too, unless a later lookup has answered. */
  #take(lookup: number, endpoint: NetworkEndpoint, found: readonly FoundAddress[]): void {
    if (lookup < this.#answered) return;
    const answer = this.#parse(endpoint, found);
    if (answer.length === 0) throw new Error('the answer was empty');
    this.#answered = lookup;
    this.#absent = [...this.#absent, ...this.#known]
      .filter((address) => !answer.includes(address))
      .filter(({ connections, health }) => connections > 0 || health.state === 'ejected')
      .slice(-MAX_ADDRESSES);
    this.#known = answer;
    this.#error = undefined;
    this.#forgetFamilies();
  }

  /** Forgets the families of names that are gone. With each new pod, an SRV answer contains new names. */
  #forgetFamilies(): void {
    const names = new Set([...this.#absent, ...this.#known].map(({ name }) => name));
    for (const name of this.#families.keys()) if (!names.has(name)) this.#families.delete(name);
  }

  /** Warns, unless the dial fails for want of an address and so reports it. */
  #warnOfFailure(reason: string): void {
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
   * Returns the addresses of an answer. Known addresses keep their state. What is not an address is left out with a
   * warning.
   * @throws TypeError if nothing is left.
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
        // Never the record's target: whoever forges an answer must not choose the name in the certificate.
        return { host, port, tls: { serverName: this.#serverName(name.replace(/^_[^.]*\._[^.]*\./, '')) } };
    }
  }

  #serverName(configured: string): string {
    // Names in certificates do not end with a dot.
    return this.#options.tlsServerName ?? configured.replace(/\.$/, '');
  }

  #address(target: Target, family: number, name: string): Address {
    const { clock, endpoint, random, schedule } = this.#options;
    return {
      endpoint,
      target,
      text: targetText(target),
      name,
      family,
      priority: 0,
      weight: endpoint.weight,
      health: new Health(clock, random),
      // Random, so that the processes of a fleet begin with different addresses.
      pass: schedule.join(random(), endpoint.weight),
      dialFailedAt: undefined,
      connections: 0,
    };
  }
}

/** The part of a lookup's answer that an address was made of. */
function foundOf({ endpoint, name, priority, target, weight }: Address): FoundAddress {
  if ('path' in target) throw new Error('a path is not looked up');
  return { address: target.host, port: target.port, priority, weight: weight / endpoint.weight, target: name };
}

function complete(found: FoundAddress | undefined, endpoint: NetworkEndpoint): Required<FoundAddress> {
  const { address = '', port = endpoint.port, priority = 0, weight = 1, target = endpoint.host } = found ?? {};
  return { address, port, priority, weight, target };
}

/** Says what is wrong with an address; `undefined` if nothing is. */
function problemOf({ address, port, priority, weight }: Required<FoundAddress>): string | undefined {
  // The system would look up a name, and no time limit would hold.
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
