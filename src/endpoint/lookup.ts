import { isIP } from 'node:net';
import type { BoundedWaits } from '../bounded-waits.ts';
import type { Clock } from '../clock.ts';
import type { NetworkEndpoint } from '../config/endpoint.ts';
import type { ResolvedAddress, Resolver } from '../config/options.ts';
import { messageOf } from '../errors.ts';

/** An address, with the target of the SRV record that it was found by. */
export interface FoundAddress extends ResolvedAddress {
  readonly target?: string;
}

/** Returns addresses. Targets that do not resolve within the limit may be missing. */
export type Lookup = (limitMillis: number) => Promise<readonly FoundAddress[]>;

export interface LookupOptions {
  readonly resolver: Resolver | undefined;
  readonly clock: Clock;
  readonly waits: BoundedWaits;
}

/** Returns the lookup of an endpoint; `undefined` if the endpoint is an IP address. */
export function lookupOf(endpoint: NetworkEndpoint, options: LookupOptions): Lookup | undefined {
  const { resolver } = options;
  if (resolver !== undefined) return async () => resolver(endpoint);
  switch (endpoint.protocol) {
    case 'tcp':
    case 'tls':
      return isIP(endpoint.host) === 0 ? () => addressesOf(endpoint.host) : undefined;
    case 'srv+tcp':
    case 'srv+tls':
      return srvLookup(endpoint.host, options);
  }
}

/**
 * Loads `node:dns` at the first lookup, in a clean async context. It keeps the context in which it is loaded, and this
 * module may be loaded within a request. Its functions are read each time, because `setServers()` replaces them.
 */
function dns(): typeof import('node:dns/promises') {
  return process.getBuiltinModule('node:dns').promises;
}

/**
 * IPv4 and IPv6 in the order of the system, `/etc/hosts` and search lists included. A lookup takes a thread of the
 * process until the system gives up (glibc: `timeout` and `attempts` of `resolv.conf`), and cannot be cancelled. A
 * second one for the same name would only take a second thread.
 */
const addressesOf = oneAtATime((host): Promise<ResolvedAddress[]> => dns().lookup(host, { all: true, verbatim: true }));

/** The share of the limit within which the targets have to resolve, so that the answer comes before the limit. */
const TARGETS_SHARE = 0.9;

/**
 * The addresses of all targets that have some; an SRV record whose target does not resolve in time is left out. The
 * query for the records takes no thread, and ends by the limits of Node.js.
 */
function srvLookup(name: string, { clock, waits }: LookupOptions): Lookup {
  const recordsOf = oneAtATime((each) => dns().resolveSrv(each));
  return async (limitMillis) => {
    const end = clock.now() + limitMillis * TARGETS_SHARE;
    const records = await recordsOf(name).catch((error: NodeJS.ErrnoException) => {
      throw new Error(srvFailure(name, error), { cause: error });
    });
    const millis = Math.max(0, Math.floor(end - clock.now()));
    const lookups = await Promise.allSettled(
      records.map(async ({ name: target, port, priority, weight }) => {
        const late = () => `no answer for ${target} within ${millis} ms`;
        const found = await waits.within(millis, addressesOf(target), late);
        return found.map(({ address }) => ({ address, port, priority, weight, target }));
      }),
    );
    const addresses = lookups.flatMap((result) => (result.status === 'fulfilled' ? result.value : []));
    const failure = lookups.find((result) => result.status === 'rejected');
    if (addresses.length === 0 && failure !== undefined) throw failure.reason;
    return addresses;
  };
}

function srvFailure(name: string, error: NodeJS.ErrnoException): string {
  switch (error.code) {
    case 'ENOTFOUND':
    case 'ENODATA':
      return (
        `there are no SRV records for ${name} (${error.code}); it has to be the full name, such as ` +
        '_forward._tcp.fluent.logging.svc.cluster.local: no search list is applied to SRV names'
      );
    default:
      return messageOf(error);
  }
}

/** Calls that name the same host share one lookup while it runs. */
function oneAtATime<T>(look: (name: string) => Promise<T>): (name: string) => Promise<T> {
  const running = new Map<string, Promise<T>>();
  return (name) => {
    const found = running.get(name) ?? look(name).finally(() => running.delete(name));
    running.set(name, found);
    return found;
  };
}
