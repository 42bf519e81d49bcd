import { isIP } from 'node:net';
import type { NetworkEndpoint } from '../config/endpoint.ts';
import type { ResolvedAddress, Resolver } from '../config/options.ts';
import { messageOf } from '../errors.ts';

/** An address, with the name of the SRV record's target that it stands behind. */
export interface FoundAddress extends ResolvedAddress {
  readonly target?: string;
}

export type Lookup = () => Promise<readonly FoundAddress[]>;

/** How the addresses of an endpoint are found; `undefined` where it is an address itself. */
export function lookupOf(endpoint: NetworkEndpoint, resolver: Resolver | undefined): Lookup | undefined {
  if (resolver !== undefined) return async () => resolver(endpoint);
  switch (endpoint.protocol) {
    case 'tcp':
    case 'tls':
      return isIP(endpoint.host) === 0 ? oneAtATime(() => addressesOf(endpoint.host)) : undefined;
    case 'srv+tcp':
    case 'srv+tls':
      return oneAtATime(() => targetsOf(endpoint.host));
  }
}

/**
 * Loaded by the first lookup, in a clean async context: `node:dns` keeps the context in which it is loaded, and this
 * module may be loaded within a request. Asked each time, because `setServers()` replaces the functions.
 */
function dns(): typeof import('node:dns/promises') {
  return process.getBuiltinModule('node:dns').promises;
}

/** IPv4 and IPv6 in the order of the system, `/etc/hosts` and search lists included. */
function addressesOf(host: string): Promise<ResolvedAddress[]> {
  return dns().lookup(host, { all: true, verbatim: true });
}

/** The addresses of all targets that have some; an SRV record whose target does not resolve is left out. */
async function targetsOf(name: string): Promise<FoundAddress[]> {
  const records = await dns()
    .resolveSrv(name)
    .catch((error: NodeJS.ErrnoException) => {
      throw new Error(srvFailure(name, error), { cause: error });
    });
  const lookups = await Promise.allSettled(
    records.map(async ({ name: target, port, priority, weight }) =>
      (await addressesOf(target)).map(({ address }) => ({ address, port, priority, weight, target })),
    ),
  );
  const addresses = lookups.flatMap((result) => (result.status === 'fulfilled' ? result.value : []));
  const failure = lookups.find((result) => result.status === 'rejected');
  if (addresses.length === 0 && failure !== undefined) throw failure.reason;
  return addresses;
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
